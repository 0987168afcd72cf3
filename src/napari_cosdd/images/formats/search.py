"""Finding images: in folders, file sets, and files or plates that hold several."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from napari_cosdd.errors import BadInputError, NotEnoughMemoryError
from napari_cosdd.images.formats.any import (
    SUFFIXES,
    TIFF_SUFFIXES,
    holder_of,
    read_image,
    series_of,
    suffix_of,
)
from napari_cosdd.images.formats.ome_zarr import (
    is_zarr,
    listed,
    zarr_contents,
    zarr_images,
)
from napari_cosdd.images.formats.tiff import ome_images


class Found(NamedTuple):
    """Images, and notes on what was left out.

    Attributes
    ----------
    paths : list of Path
        A file, a zarr group, or FILE/N for the series N of a file.
    notes : tuple of str
        Sentences for the user.
    """

    paths: list[Path]
    notes: tuple[str, ...]


def search(
    *paths: Path, recursive: bool = False, results: bool = False, salvage: bool = False
) -> Found:
    """Return the images at paths: files, folders of them, plates, FILE/N.

    The files of an OME-TIFF set that make up one image are given once, by the first of
    them; an OME-TIFF or plate with several images gives each. Other files in a folder
    are ignored. Earlier results of a denoising in it are left out, unless there is
    nothing else.

    Parameters
    ----------
    *paths : Path
        In this order; the images of a folder are sorted.
    recursive : bool
        Search folders in folders, too.
    results : bool
        Give earlier results in folders, too.
    salvage : bool
        Leave out the fields of a plate that are missing, with a note.

    Raises
    ------
    BadInputError
        If there is nothing at a path, it is no image, or a folder holds none.
    """
    finder = _Finder(recursive, results, salvage)
    found = [image for path in paths for image in finder.at(path)]
    return Found(found, tuple(finder.notes))


def find_images(path: Path) -> list[Path]:
    """Return the images at a path; see `search`."""
    return search(path).paths


class _Finder:
    """Remembers which images of file sets were given."""

    def __init__(self, recursive: bool, results: bool, salvage: bool) -> None:
        self.recursive, self.results = recursive, results
        self.salvage = salvage
        self.notes: list[str] = []
        self._given: set[tuple[Path, frozenset[str], int]] = set()
        self._folders: set[Path] = set()

    def at(self, path: Path) -> Iterator[Path]:
        """Yield the images at a path that the user gave."""
        if series_of(path) is not None:
            yield path
            return
        if problem := _unusable(path):
            raise BadInputError(problem)
        if is_zarr(path) or path.suffix.lower() == ".zarr":
            yield from self._in_zarr(path)
        elif path.is_dir():
            found = self._without_results(list(self._in_folder(path)))
            if not found and not self.notes:
                raise BadInputError(
                    f"the folder {path} holds no image; expected {', '.join(SUFFIXES)}"
                )
            yield from found
        elif path.suffix.lower() in TIFF_SUFFIXES:
            yield from self._in_tiff(path)
        elif suffix_of(path) in SUFFIXES:
            yield path
        else:
            raise BadInputError(
                f"{path.name} is not an image that can be read; expected "
                f"{', '.join(SUFFIXES)}"
            )

    def _without_results(self, found: list[Path]) -> list[Path]:
        """Leave out earlier results of a denoising, unless there is nothing else."""
        if self.results:
            return found
        sources = [path for path in found if not _is_result(path)]
        if sources and (n := len(found) - len(sources)):
            self.notes.append(
                f"{n} earlier results of a denoising in the folder are left out"
            )
        return sources or found

    def _in_folder(self, folder: Path) -> Iterator[Path]:
        if folder.resolve() in self._folders:  # by a link
            self.notes.append(f"{folder} was searched already")
            return
        self._folders.add(folder.resolve())
        inside = {path for path in folder.iterdir() if not path.is_symlink()}
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path not in inside and path.resolve() in inside:
                continue  # a link to a file beside it
            named_so = suffix_of(path) in SUFFIXES
            if named_so and (problem := _unusable(path)):
                self.notes.append(f"{problem}; it is left out")
            elif path.is_dir() and (is_zarr(path) or path.suffix.lower() == ".zarr"):
                yield from self._in_zarr(path)
            elif path.is_dir():
                if named_so:
                    self.notes.append(f"{path} is a folder, no image; it is left out")
                if self.recursive:
                    yield from self._in_folder(path)
            elif path.suffix.lower() in TIFF_SUFFIXES:
                yield from self._in_tiff(path)
            elif named_so:
                yield path

    def _in_zarr(self, path: Path) -> list[Path]:
        """Return the images of a zarr folder; say which are missing."""
        if self.salvage:
            there, missing = zarr_contents(path)
            if there and missing:
                self.notes.append(f"{path.name} lacks {listed(missing)}; left out")
                return there
        return zarr_images(path)

    def _in_tiff(self, path: Path) -> Iterator[Path]:
        """Yield the images of a TIFF that no earlier file of its set gave."""
        images = ome_images(path)
        every = frozenset().union(*images)
        own = [i for i, names in enumerate(images) if path.name in names]
        keys = {i: (path.parent.resolve(), every, i) for i in own}
        new = [i for i in own if keys[i] not in self._given]
        self._given.update(keys.values())
        if len(own) <= 1:
            if new or not own:
                yield path
            return
        for i in new:
            yield path / str(i)


def _is_result(path: Path) -> bool:
    """Whether this package wrote an image as a result; a damaged one is none."""
    suffix = holder_of(path).suffix.lower()
    if suffix not in TIFF_SUFFIXES and not is_zarr(path):
        return False  # other files hold no provenance
    try:
        return read_image(path, lazy=True).is_result
    except (BadInputError, NotEnoughMemoryError):  # reading it says what is wrong
        return False


def _unusable(path: Path) -> str:
    """Say why there is nothing to read at a path; empty if there may be."""
    if re.match(r"[a-z0-9+]{2,}:[/\\]", str(path)):
        return f"{path} is an address; download the image and give the file"
    if path.is_symlink() and not path.exists():
        return f"{path} is a broken link"
    if not path.exists():
        return f"there is no file or folder {path}"
    if not path.is_file() and not path.is_dir():
        return f"{path} is no regular file, but a pipe, socket or device"
    return ""
