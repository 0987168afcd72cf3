"""What users hand in: arrays, paths, folders or Images, made into Images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_cosdd.axes import FilledStack, Stack, check_axes, guess_axes
from napari_cosdd.data.io import Image, check_pixels, find_images, read_image
from napari_cosdd.errors import BadInputError

ImageLike = ArrayLike | Path | str | Image


def as_images(
    images: ImageLike | Sequence[ImageLike], axes: str | None = None
) -> list[Image]:
    """Turn arrays, paths, folders and Images into Images.

    Raises
    ------
    BadInputError
        If there is nothing, or something is no grey-level image.
    """
    if isinstance(images, Image):
        return [images]
    if isinstance(images, (str, Path)):
        return [read_image(p, axes) for p in find_images(Path(images))]
    if isinstance(images, (list, tuple)) and images and not np.isscalar(images[0]):
        return [one for i in images for one in as_images(i, axes)]
    data: Any = images
    if not (hasattr(data, "shape") and hasattr(data, "dtype")):
        data = np.asarray(data)
    if data.ndim == 0 or 0 in data.shape:
        raise BadInputError(f"there is no image: shape {tuple(data.shape)}")
    letters = check_axes(axes, data.shape) if axes else guess_axes(data.shape)
    image = Image(data, letters, axes_from="user" if axes else "guess")
    check_pixels(image)
    return [image]


def stack_of(image: Image, ndim: int, mask: bool) -> Stack:
    """Return an image as a stack; `mask` fills pixels that are not finite."""
    return (FilledStack if mask else Stack)(image.data, image.axes, ndim)
