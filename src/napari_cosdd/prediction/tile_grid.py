"""Tiles of an image: pure geometry, no pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from napari_cosdd.images.axes import Region

#: Largest side, pixels, at which the core of a tile is no longer cut.
NARROW = 64
#: Upper limit of the shift of a view, pixels: shifts are below this and the stride.
SHIFTS = 4


@dataclass(frozen=True)
class Tile:
    """A piece of the image with its surroundings.

    Attributes
    ----------
    core : tuple of slice
        Region that this tile yields; the cores of all tiles partition the image.
    read : tuple of slice
        Region of the padded image that the network sees: the core and its margin, up
        to a multiple of the network's stride. It may end beyond the image. The core
        excludes the last pixels, which shifted views drop.
    """

    core: Region
    read: Region

    @property
    def inner(self) -> Region:
        """Region of the core within `read`."""
        return tuple(
            slice(c.start - r.start, c.stop - r.start)
            for c, r in zip(self.core, self.read, strict=True)
        )

    @property
    def origin(self) -> tuple[int, ...]:
        """First pixel of `read`, a multiple of the network's stride."""
        return tuple(r.start for r in self.read)

    @property
    def pixels(self) -> int:
        """Number of pixels in `read`."""
        return math.prod(r.stop - r.start for r in self.read)

    def halves(
        self, margin: Sequence[int], multiple: Sequence[int]
    ) -> "tuple[Tile, Tile] | None":
        """Halve the tile along the core's longest axis; None if that is short.

        Parameters
        ----------
        margin, multiple : sequence of int
            As in `tile_grid`.
        """
        lengths = [c.stop - c.start for c in self.core]
        axis = max(range(len(lengths)), key=lengths.__getitem__)
        core, read, step = self.core[axis], self.read[axis], multiple[axis]
        around = _context(margin[axis], step)
        middle = core.start + -(-lengths[axis] // (2 * step)) * step
        if lengths[axis] <= NARROW or middle >= core.stop:
            return None
        first = slice(read.start, min(middle + around, read.stop))
        second = slice(max(middle - around, read.start), read.stop)
        return (
            self._with(axis, slice(core.start, middle), first),
            self._with(axis, slice(middle, core.stop), second),
        )

    def _with(self, axis: int, core: slice, read: slice) -> "Tile":
        """Return a copy with other regions along one axis."""
        cores, reads = list(self.core), list(self.read)
        cores[axis], reads[axis] = core, read
        return Tile(tuple(cores), tuple(reads))


def tile_grid(
    size: Sequence[int],
    tile: Sequence[int],
    margin: Sequence[int],
    multiple: Sequence[int],
) -> list[Tile]:
    """Cut an image of `size` into tiles.

    Parameters
    ----------
    size : sequence of int
        Size of the image, pixels per spatial axis.
    tile : sequence of int
        Size of the largest core; rounded down to a multiple.
    margin : sequence of int
        Context on each side; rounded up to a multiple.
    multiple : sequence of int
        Every tile starts at a multiple of this, and its size is a multiple.

    Returns
    -------
    list of Tile
        In raster order.
    """
    axes = [
        _cuts(*lengths) for lengths in zip(size, tile, margin, multiple, strict=True)
    ]
    return [
        Tile(tuple(core for core, _ in cuts), tuple(read for _, read in cuts))
        for cuts in product(*axes)
    ]


def pixels_lost(multiple: int) -> int:
    """Return the largest number of pixels that shifted views drop at a tile's end."""
    return min(multiple, SHIFTS) - 1


def _cuts(
    size: int, tile: int, margin: int, multiple: int
) -> list[tuple[slice, slice]]:
    margin = _context(margin, multiple)
    step = max(multiple, tile // multiple * multiple)
    end = -(-(size + pixels_lost(multiple)) // multiple) * multiple
    return [
        (
            slice(start, min(start + step, size)),
            slice(max(0, start - margin), min(start + step + margin, end)),
        )
        for start in range(0, size, step)
    ]


def _context(margin: int, multiple: int) -> int:
    """Return the margin as a multiple, at least as wide as shifts drop."""
    return -(-max(margin, pixels_lost(multiple)) // multiple) * multiple
