"""The images that a command is given."""

from collections.abc import Sequence
from pathlib import Path

from napari_cosdd.cli._app import console
from napari_cosdd.cli._progress import note
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.formats.search import search
from napari_cosdd.images.image import Image, doubts_of
from napari_cosdd.images.inputs import as_images, one_image


def opened(
    images: Path | Sequence[Path], axes: str | None, *, salvage: bool = False
) -> list[Image]:
    """Open images, and print warnings about their reading."""
    several = as_images(images, axes, salvage=salvage)
    for doubt in doubts_of(several):
        note(console, doubt)
    return several


def opened_one(image: Path, axes: str | None = None) -> Image:
    """Open one image, and print warnings about its reading."""
    return one_image(opened(image, axes))


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
    once = {path.resolve(): path for path in reversed(paths)}
    if n := len(paths) - len(once):
        note(console, f"{n} of {len(paths)} images are given before and left out")
    return [path for path in paths if once.pop(path.resolve(), None) is not None]
