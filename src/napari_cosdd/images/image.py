"""An image with what its file says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.stack import ArrayLike


@dataclass(frozen=True)
class Image:
    """An image with what its file says about it.

    Attributes
    ----------
    data : array-like
        The pixels; read lazily where the file is large.
    axes : str
        One letter of "STCZYX" per axis.
    name : str
        For layers and files made from it.
    axes_from : {"file", "user", "guess"}
        Where the axes come from.
    pixel_size : mapping
        Physical size per spatial axis letter, where known.
    unit : str
        Unit of the pixel size, such as "um".
    interval : float or None
        Seconds from one time point to the next, where known.
    channels : tuple of str
        Names of the channels, where known; empty or one for each.
    path : Path or None
        Where it was read from.
    note : str
        What the user should know of how it was read.
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

    @property
    def doubts(self) -> tuple[str, ...]:
        """What the user should know of how it was read, in sentences."""
        found: tuple[str, ...] = (self.note,) if self.note else ()
        if self.axes_from == "guess":
            found += (
                f"{self.name}: axes {self.axes} are a guess from the shape "
                f"{tuple(self.data.shape)}; give them if they are wrong",
            )
        return found

    def with_data(self, data: ArrayLike, name: str, axes: str | None = None) -> "Image":
        """Return a result made from this image: same axes and pixel size."""
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
        )


def check_pixels(image: Image) -> None:
    """Refuse what is no grey-level image: complex, boolean, empty, RGB.

    Raises
    ------
    BadInputError
        With what was expected and what came.
    """
    kind = np.dtype(image.data.dtype).kind
    if kind not in "uif":
        raise BadInputError(
            f"{image.name}: expected whole or real numbers, got {image.data.dtype}"
        )
    if 0 in image.data.shape:
        raise BadInputError(f"{image.name} is empty: shape {image.data.shape}")
    looks_rgb = image.data.shape[-1] in (3, 4) and image.axes_from == "guess"
    if looks_rgb and len(image.data.shape) == 3:
        raise BadInputError(
            f"{image.name} looks like a color (RGB) picture: shape "
            f"{image.data.shape}; expected grey levels. Give the axes (YXC) if the "
            "last axis are measured channels"
        )
