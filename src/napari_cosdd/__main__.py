"""`python -m napari_cosdd` is the command `napari-cosdd`."""

from napari_cosdd.cli import main

main()
