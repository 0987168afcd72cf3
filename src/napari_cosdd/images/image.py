"""An image and its metadata."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.stack import ArrayLike
from napari_cosdd.images.units import LENGTHS
from napari_cosdd.remedies import Remedy

#: Keys of the provenance that results of a denoising carry.
RESULT_KEYS = ("napari_cosdd", "source", "part")

#: Largest plausible number of pixels: eight terabytes of 16 bits.
MOST_PIXELS = 1 << 42


@dataclass(frozen=True)
class Image:
    """An image and its metadata.

    Attributes
    ----------
    data : array-like
        The pixels; read on demand if the file is large.
    axes : str
        One letter of "STCZYX" per axis.
    name : str
        Name of the image, used for its layers and result files.
    axes_from : {"file", "user", "guess"}
        Origin of the axes.
    pixel_size : mapping
        Physical size by letter of a spatial axis, where known.
    unit : str
        Unit of the pixel size, such as "um".
    interval : float or None
        Seconds from one time point to the next, where known.
    channels : tuple of str
        One name for each channel; empty if unknown.
    path : Path or None
        The file that the image was read from.
    note : str
        A warning about the reading, for the user; may be empty.
    is_result : bool
        Whether the file says that it is a result of this package's denoising.
    selection : ndarray of bool, shape (y, x), or None
        Pixels to use; None: all.
    result_axes : str
        Axes of result files, if they differ from `axes`: channels that are taken one
        by one have the letter of another axis there.
    """

    data: ArrayLike
    axes: str
    name: str = "image"
    axes_from: str = "user"
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = "um"
    channels: tuple[str, ...] = ()
    path: Path | None = None
    note: str = ""
    interval: float | None = None
    is_result: bool = False
    selection: NDArray[np.bool_] | None = None
    result_axes: str = ""

    @property
    def doubts(self) -> tuple[str, ...]:
        """Warnings about the reading, for the user, in sentences."""
        sentences: tuple[str, ...] = (self.note,) if self.note else ()
        if self.axes_from == "guess" and len(self.axes) > len("YX"):
            sentences += (
                f"{self.name}: axes {self.axes} are a guess from the shape "
                f"{tuple(self.data.shape)}; give them if they are wrong",
            )
        return sentences

    @property
    def pixel_nm(self) -> float | None:
        """Side of a pixel along x, nanometres; None if unknown."""
        if "X" not in self.pixel_size or self.unit not in LENGTHS:
            return None
        return self.pixel_size["X"] * LENGTHS[self.unit].metres / LENGTHS["nm"].metres

    def with_data(self, data: ArrayLike, name: str, axes: str | None = None) -> "Image":
        """Return other pixels with the axes and pixel size of this image."""
        letters = axes or self.axes
        n = data.shape[letters.index("C")] if "C" in letters else 1
        return replace(
            self,
            data=data,
            name=name,
            axes=letters,
            channels=self.channels if len(self.channels) == n else (),
            path=None,
            note="",
            selection=None,
            result_axes="",
        )

    def with_result(self, data: ArrayLike, name: str) -> "Image":
        """Return a result of the same shape, with the axes for its file."""
        image = replace(self, axes=self.result_axes or self.axes)
        return image.with_data(data, name)


def doubts_of(images: Sequence[Image]) -> Iterator[str]:
    """Yield warnings about the reading of images; a guess of axes is told once."""
    yield from images[0].doubts
    yield from (image.note for image in images[1:] if image.note)


def check_pixels(image: Image) -> None:
    """Refuse arrays that are no grey-level images: complex, boolean, empty, RGB.

    An array of unknown length is refused, too.

    Raises
    ------
    BadInputError
        If the array is one of these.
    """
    kind = np.dtype(image.data.dtype).kind
    if kind not in "uif":
        raise BadInputError(
            f"{image.name}: expected whole or real numbers, got {image.data.dtype}"
        )
    if any(n != n for n in image.data.shape):  # dask's NaN
        raise BadInputError(
            f"{image.name} is a dask array of unknown length, shape "
            f"{image.data.shape}: call its compute_chunk_sizes() first"
        )
    if 0 in image.data.shape:
        raise BadInputError(f"{image.name} is empty: shape {image.data.shape}")
    if math.prod(image.data.shape) > MOST_PIXELS:
        raise BadInputError(
            f"{image.name} says that its shape is {tuple(image.data.shape)}, which is "
            f"{math.prod(image.data.shape):.1e} pixels; {MOST_PIXELS:.1e} are the most"
        )
    looks_rgb = image.axes.endswith("C") and image.axes_from == "guess"
    if looks_rgb and image.data.shape[-1] in (3, 4):
        raise BadInputError(
            f"{image.name} looks like a color (RGB) picture: shape "
            f"{image.data.shape}; expected grey levels. If the last axis holds "
            f"measured channels, give the axes {image.axes} ({Remedy.AXES})"
        )
