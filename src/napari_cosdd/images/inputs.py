"""Conversion of user input (arrays, paths, folders) into Images."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import check_axes, guess_axes
from napari_cosdd.images.filling import FILLS, Fill, FilledStack
from napari_cosdd.images.formats.any import find_images, read_image, stem
from napari_cosdd.images.image import Image, check_pixels
from napari_cosdd.images.stack import Stack

ImageLike = ArrayLike | Path | str | Image
#: Total size of a folder's images above which they are read on demand, bytes.
EAGER_TOTAL = 4 << 30


def as_images(
    images: ImageLike | Sequence[ImageLike], axes: str | None = None
) -> list[Image]:
    """Turn arrays, paths, folders and Images into Images.

    Masked pixels of numpy's masked arrays become NaN. Of a folder, earlier results of a
    denoising are left out, which the note of the first image says.

    Raises
    ------
    BadInputError
        If there is no image, or one is no grey-level image.
    """
    if isinstance(images, Image):
        return [images]
    if isinstance(images, (str, Path)):
        paths = find_images(Path(images))
        lazy = sum(p.stat().st_size for p in paths) > EAGER_TOTAL
        return _sources([read_image(p, axes, lazy=lazy) for p in paths])
    if isinstance(images, Iterator):
        images = list(images)
    if isinstance(images, (list, tuple)) and images and not _is_number(images[0]):
        return [one for i in images for one in as_images(i, axes)]
    data: Any = images
    if not isinstance(getattr(data, "dtype", None), np.dtype):
        data = np.asarray(data)
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


def _sources(images: list[Image]) -> list[Image]:
    """Leave out earlier results, unless they alone are given."""
    sources = [image for image in images if not image.is_result]
    n = len(images) - len(sources)
    if not n or not sources:
        return images
    left_out = f"{n} earlier results of a denoising in the folder are left out"
    note = f"{sources[0].note}; {left_out}" if sources[0].note else left_out
    return [replace(sources[0], note=note), *sources[1:]]


def _is_number(value: Any) -> bool:
    return np.isscalar(value) and not isinstance(value, str)


def one_image(image: ImageLike | Sequence[ImageLike], axes: str | None = None) -> Image:
    """Turn an array, a path or an Image into an Image.

    Raises
    ------
    BadInputError
        If it is a folder or a list of several, or no grey-level image.
    """
    opened = as_images(image, axes)
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
        If `fill` is unknown, or is "outliers" for lines.
    """
    if fill not in FILLS:
        raise BadInputError(f"fill {fill!r}: expected one of {', '.join(FILLS)}")
    if fill == "nothing":
        return Stack(image.data, image.axes, ndim, image.name)
    return FilledStack(image.data, image.axes, ndim, fill, image.name)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a distinct name for the results of each image file.

    Files of equal name in several folders are prefixed with their folder's name.

    Raises
    ------
    BadInputError
        If two names are still equal.
    """
    names = [stem(p) for p in paths]
    names = [
        f"{path.resolve().parent.name}-{name}" if names.count(name) > 1 else name
        for path, name in zip(paths, names, strict=True)
    ]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise BadInputError(
            f"several images are called {twice[0]!r}: their results would overwrite "
            "each other; rename them or run them one by one"
        )
    return names
