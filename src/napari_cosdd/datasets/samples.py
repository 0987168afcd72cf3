"""Images that come with the package."""

from importlib.resources import as_file, files

from napari_cosdd.images.formats.any import read_image
from napari_cosdd.images.image import Image


def nuclei() -> Image:
    """Return the bundled image: nuclei, wide-field CCD, row-correlated noise."""
    with as_file(files("napari_cosdd") / "samples" / "nuclei.tif") as path:
        return read_image(path)
