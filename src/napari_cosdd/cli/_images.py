"""The images that a command is given."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from napari_cosdd.cli._app import console
from napari_cosdd.cli._progress import note
from napari_cosdd.errors import IMAGE_ERRORS, BadInputError
from napari_cosdd.images.formats.search import search
from napari_cosdd.images.image import Image, doubts_of
from napari_cosdd.images.inputs import as_images, one_image

#: Largest number of images that a message names.
NAMED = 4


def opened(
    images: Path | Sequence[Path], axes: str | None, *, salvage: bool = False
) -> list[Image]:
    """Open images, and print warnings about their reading."""
    several = as_images(images, axes, salvage=salvage)
    for doubt in doubts_of(several):
        note(console, doubt)
    return several


def opened_one(image: Path, axes: str | None = None, *, salvage: bool = False) -> Image:
    """Open one image, and print warnings about its reading."""
    return one_image(opened(image, axes, salvage=salvage))


class Failures:
    """The images of a command that could not be used, while the others went on.

    Parameters
    ----------
    n_images : int
        Number of images of the command; the error of a single one is raised.
    """

    def __init__(self, n_images: int) -> None:
        self.n_images = n_images
        self.names: list[str] = []

    @contextmanager
    def named(self, name: str) -> Iterator[None]:
        """Print an error that concerns this image only, and go on after it."""
        try:
            yield
        except IMAGE_ERRORS as error:
            if self.n_images == 1:
                raise
            note(console, f"{name}: {error}")
            self.names.append(name)

    def check(self) -> None:
        """Raise an error with the names of the images that failed.

        Raises
        ------
        BadInputError
            If there are any.
        """
        if self.names:
            some = ", ".join(self.names[:NAMED]) + (" …" if self.names[NAMED:] else "")
            n = len(self.names)
            raise BadInputError(f"{n} of {self.n_images} images failed: {some}")


def found(
    images: Sequence[Path],
    recursive: bool,
    *,
    results: bool = False,
    salvage: bool = False,
) -> list[Path]:
    """Return the images at paths, and print what was left out.

    Earlier results in folders are left out unless `results` is set.

    Raises
    ------
    BadInputError
        If there is none.
    """
    how = {"recursive": recursive, "results": results, "salvage": salvage}
    paths, notes = search(*images, **how)
    if not paths:
        raise BadInputError("; ".join(notes))
    for one in notes:
        note(console, one)
    once = {path.resolve(): path for path in reversed(paths)}
    if n := len(paths) - len(once):
        note(console, f"{n} of {len(paths)} images are given before and left out")
    return [path for path in paths if once.pop(path.resolve(), None) is not None]
