"""An array seen as images (n, c, *spatial), read and written region by region.

The axes S and T (and Z, for a two-dimensional method) make up the images n of a stack.
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError, NotEnoughMemoryError
from napari_cosdd.images.axes import SPATIAL, Region, check_axes


class ArrayLike(Protocol):
    """Anything with a shape, a type and slicing: numpy, zarr, dask, memory maps."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> Any:
        """Type of the pixels."""

    def __getitem__(self, index: Any, /) -> Any:
        """Return the part at `index`."""


class Stack:
    """An array seen as (n, c, *spatial), read and written region by region.

    Pixels are loaded on demand, so the array may be larger than memory.

    Parameters
    ----------
    data : array-like
        Any array; only slices of it are converted to numpy.
    axes : str
        One letter per axis of `data`.
    ndim : int
        Spatial axes of the method: 1 (X), 2 (YX) or 3 (ZYX).
    name : str
        Name of the image, for errors.
    selection : ndarray of bool, shape (y, x), optional
        Pixels to use; default: all.

    Attributes
    ----------
    n_images, n_channels : int
        Lengths of n and c.
    size : tuple of int
        Lengths of the spatial axes.
    """

    def __init__(
        self,
        data: ArrayLike,
        axes: str,
        ndim: int,
        name: str = "the image",
        selection: NDArray[np.bool_] | None = None,
    ) -> None:
        self.data = data
        self.name = name
        self.selection = selection
        self.axes = check_axes(axes, data.shape)
        missing = [a for a in SPATIAL[ndim] if a not in self.axes]
        if missing:
            raise BadInputError(
                f"a {ndim}-dimensional method needs axes {SPATIAL[ndim]}; "
                f"the image has {self.axes}"
            )
        self.spatial = SPATIAL[ndim]
        length = dict(zip(self.axes, data.shape, strict=True))
        self.image_axes = [a for a in self.axes if a not in self.spatial + "C"]
        self.image_shape = tuple(length[a] for a in self.image_axes)
        self.n_images = math.prod(self.image_shape)
        self.n_channels = length.get("C", 1)
        self.size = tuple(length[a] for a in self.spatial)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return np.dtype(self.data.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, c, *spatial)."""
        return (self.n_images, self.n_channels, *self.size)

    def read(self, n: int, region: Region | None = None) -> NDArray[Any]:
        """Return image `n` in a spatial region, shape (c, *region).

        Raises
        ------
        BadInputError
            If the pixels cannot be read from their file.
        NotEnoughMemoryError
            If they do not fit into memory.
        """
        try:
            part = np.asarray(self.data[self._index(n, region)])
        except MemoryError as error:
            raise NotEnoughMemoryError(
                f"a part of {self.name} does not fit into memory ({error}); save it in "
                "smaller tiles or chunks"
            ) from error
        except Exception as error:
            if isinstance(self.data, np.ndarray):
                raise
            raise BadInputError(
                f"{self._place(n, region)} cannot be read; the file may be damaged, "
                f"not finished or changed ({type(error).__name__}: {error})"
            ) from error
        return self._channels_first(part)

    def read_known(
        self, n: int, region: Region | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return a region of image `n`, and the mask of its measured pixels.

        The mask is None if all pixels are measured.
        """
        return self.read(n, region), None

    def selected(self, region: Region | None = None) -> NDArray[np.bool_] | None:
        """Return which pixels of a region to use, (y, x); None: all."""
        if self.selection is None:
            return None
        part = self.selection if region is None else self.selection[region[-2:]]
        return None if part.all() else part

    def read_counted(
        self, n: int, region: Region | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return a region of image `n`, and the mask of measured pixels to use.

        The mask is None if it includes all pixels.
        """
        pixels, known = self.read_known(n, region)
        selected = self.selected(region)
        if selected is None:
            return pixels, known
        used = np.broadcast_to(selected, pixels.shape)
        return pixels, used if known is None else known & used

    def boxes(
        self, n_images: int, per_axis: int, side: int
    ) -> Iterator[tuple[int, Region]]:
        """Yield image and region of sample boxes spread over the stack.

        Parameters
        ----------
        n_images, per_axis : int
            Largest number of images, and of boxes along each spatial axis.
        side : int
            Side of a box, pixels.
        """
        corners = [
            np.unique(np.linspace(0, max(0, size - side), per_axis).astype(int))
            for size in self.size
        ]
        for n in np.unique(np.linspace(0, self.n_images - 1, n_images).astype(int)):
            for corner in product(*corners):
                yield int(n), tuple(slice(int(a), int(a) + side) for a in corner)

    def write(self, n: int, region: Region | None, values: NDArray[Any]) -> None:
        """Set image `n` in a spatial region to `values`, shape (c, *region)."""
        order = [a for a in self.axes if a in self.spatial + "C"]
        canonical = "C" + self.spatial
        if "C" not in order:
            values, canonical = values[0], self.spatial
        values = values.transpose([canonical.index(a) for a in order])
        self.data[self._index(n, region)] = values  # type: ignore[index]

    def _place(self, n: int, region: Region | None) -> str:
        """Describe a region of image `n`, for errors."""
        images = np.unravel_index(n, self.image_shape) if self.image_shape else ()
        words = [f"{a} {i}" for a, i in zip(self.image_axes, images, strict=True)]
        for letter, part in zip(self.spatial, region or (), strict=False):
            words.append(f"{letter} {part.start}:{part.stop}")
        return " ".join([self.name, *([f"({', '.join(words)})"] if words else [])])

    def _index(self, n: int, region: Region | None) -> tuple[int | slice, ...]:
        region = region or (slice(None),) * len(self.spatial)
        at: dict[str, int | slice] = {"C": slice(None)}
        at |= dict(zip(self.spatial, region, strict=True))
        images = np.unravel_index(n, self.image_shape) if self.image_shape else ()
        at |= {a: int(i) for a, i in zip(self.image_axes, images, strict=True)}
        return tuple(at[a] for a in self.axes)

    def _channels_first(self, part: NDArray[Any]) -> NDArray[Any]:
        order = [a for a in self.axes if a in self.spatial + "C"]
        if "C" not in order:
            part, order = part[None], ["C", *order]
        return part.transpose([order.index(a) for a in "C" + self.spatial])
