"""Conversion of user input (arrays, paths, folders) into Images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import check_axes, guess_axes, letters_of
from napari_cosdd.images.filling import FILLS, Fill, FilledStack
from napari_cosdd.images.formats.any import holder_of, read_image, stem
from napari_cosdd.images.formats.search import search
from napari_cosdd.images.image import Image, check_pixels
from napari_cosdd.images.stack import Stack

ImageLike = ArrayLike | Path | str | Image
#: Total size of a folder's images above which they are read on demand, bytes.
EAGER_TOTAL = 4 << 30


def as_images(
    images: ImageLike | Sequence[ImageLike],
    axes: str | None = None,
    *,
    salvage: bool = False,
    results: bool = False,
) -> list[Image]:
    """Turn arrays, paths, folders and Images into Images.

    Masked pixels of numpy's masked arrays become NaN. The note of the first image says
    what was left out of folders.

    Parameters
    ----------
    images : array, path, Image, or several of these
        A path is a file, FILE/N for its series N, a zarr group or plate, or a folder.
    axes : str, optional
        Letters of "STCZYX"; default: as the file says, or guessed from the shape.
    salvage : bool
        Read what is whole of files that are cut short, or of sets with missing files.
    results : bool
        Take earlier results of a denoising in folders, too.

    Raises
    ------
    BadInputError
        If there is no image, or one is no grey-level image.
    """
    if isinstance(images, Image):
        return [images]
    if isinstance(images, Iterator):
        images = list(images)
    given = [images] if isinstance(images, (str, Path)) else images
    if isinstance(given, (list, tuple)) and given and not _is_number(given[0]):
        if all(isinstance(one, (str, Path)) for one in given):
            return _opened([Path(one) for one in given], axes, salvage, results)
        how: Any = {"salvage": salvage, "results": results}
        return [one for i in given for one in as_images(i, axes, **how)]
    data: Any = images
    if callable(getattr(data, "detach", None)):  # a tensor, maybe with gradients
        data = data.detach().cpu()
    axes = axes or _named_axes(data)
    if not isinstance(getattr(data, "dtype", None), np.dtype):
        data = np.asarray(data)
    if data.dtype == object:
        raise BadInputError(
            "expected an image: an array, a path, an Image or a list of these; got "
            f"{type(images).__name__}"
        )
    if np.ma.isMaskedArray(data):
        data = np.ma.filled(data.astype(np.float64), np.nan)
    if data.ndim == 0 or 0 in data.shape:
        raise BadInputError(
            f"expected an image, got an array without pixels: shape {tuple(data.shape)}"
        )
    letters = check_axes(axes, data.shape) if axes else guess_axes(data.shape)
    image = Image(data, letters, axes_from="user" if axes else "guess")
    check_pixels(image)
    return [image]


def _named_axes(data: Any) -> str | None:
    """Return the axes that an xarray names, if they all have a meaning."""
    names = getattr(data, "dims", None)
    if not isinstance(names, tuple) or not all(isinstance(n, str) for n in names):
        return None
    letters, origin = letters_of(names, data.shape)
    return letters if origin == "file" else None


def _opened(
    given: list[Path], axes: str | None, salvage: bool, results: bool
) -> list[Image]:
    """Open the images at paths."""
    paths, notes = search(*given, results=results, salvage=salvage)
    if not paths:
        raise BadInputError("; ".join(notes))
    lazy = sum(p.stat().st_size for p in paths if p.is_file()) > EAGER_TOTAL
    images = [read_image(p, axes, lazy=lazy, salvage=salvage) for p in paths]
    note = "; ".join(filter(None, (images[0].note, *notes)))
    return [replace(images[0], note=note), *images[1:]]


def _is_number(value: Any) -> bool:
    return np.isscalar(value) and not isinstance(value, str)


def one_image(
    image: ImageLike | Sequence[ImageLike],
    axes: str | None = None,
    *,
    salvage: bool = False,
) -> Image:
    """Turn an array, a path or an Image into an Image.

    Raises
    ------
    BadInputError
        If it is a folder or a list of several, or no grey-level image.
    """
    opened = as_images(image, axes, salvage=salvage)
    if len(opened) > 1:
        names = ", ".join(i.name for i in opened[:4]) + (" …" if opened[4:] else "")
        raise BadInputError(f"expected one image, got {len(opened)}: {names}")
    return opened[0]


def as_frames(images: Sequence[Image]) -> Image:
    """Return repeats of a scene as one time series; single planes are stacked.

    Raises
    ------
    BadInputError
        If there are several images, and they differ in shape or are series.
    """
    first = images[0]
    if len(images) == 1:
        return first
    kinds = {(image.axes, tuple(image.data.shape)) for image in images}
    if len(kinds) > 1 or set(first.axes) & set("TSZ"):
        listed = ", ".join(f"{axes} {shape}" for axes, shape in sorted(kinds))
        raise BadInputError(
            "repeats in separate files must be single planes of one size; got "
            f"{listed:.200}"
        )
    frames = np.stack([np.asarray(image.data) for image in images])
    return first.with_data(frames, f"{len(images)} frames", "T" + first.axes)


def stack_of(image: Image, ndim: int, fill: Fill) -> Stack:
    """Return an image as a stack that fills pixels if asked.

    Raises
    ------
    BadInputError
        If `fill` is unknown, or is "outliers" for lines; if a region that is no
        rectangle is given for lines.
    """
    if fill not in FILLS:
        raise BadInputError(f"fill {fill!r}: expected one of {', '.join(FILLS)}")
    if ndim == 1 and image.selection is not None:
        raise BadInputError("a region that is no rectangle needs planes, not lines")
    if fill == "nothing":
        return Stack(image.data, image.axes, ndim, image.name, image.selection)
    return FilledStack(image.data, image.axes, ndim, fill, image.name, image.selection)


def _repeated(names: list[str]) -> set[str]:
    """Return the names that a file system may take for those of others."""
    folded = Counter(name.casefold() for name in names)
    return {name for name in names if folded[name.casefold()] > 1}


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a distinct name for the results of each image file.

    Files of equal name in several folders are prefixed with their folder's name.

    Raises
    ------
    BadInputError
        If two names are still equal.
    """
    names = [stem(p) for p in paths]
    several = _repeated(names)
    names = [
        f"{holder_of(path).resolve().parent.name}-{name}" if name in several else name
        for path, name in zip(paths, names, strict=True)
    ]
    twice = sorted(_repeated(names))
    if twice:
        raise BadInputError(
            f"several images are called {twice[0]!r}: their results would overwrite "
            "each other; rename them or run them one by one"
        )
    return names
