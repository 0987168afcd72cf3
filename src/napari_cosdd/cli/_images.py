"""The images that a command is given."""

from collections.abc import Sequence
from pathlib import Path

from napari_cosdd.cli._app import console
from napari_cosdd.cli._progress import note
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.formats.search import search


def found(images: Sequence[Path], recursive: bool) -> list[Path]:
    """Return the images at paths, and print what was left out.

    Raises
    ------
    BadInputError
        If there is none.
    """
    paths, notes = search(*images, recursive=recursive)
    if not paths:
        raise BadInputError("; ".join(notes))
    for one in notes:
        note(console, one)
    return paths
