"""Tiles of an image: pure geometry, no pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from napari_cosdd.images.axes import Region

#: Cores of so many pixels along their longest axis are not cut any more.
NARROW = 64
#: Views of a tile are shifted by fewer pixels, and by no more than the stride.
SHIFTS = 4


@dataclass(frozen=True)
class Tile:
    """A piece of the image and what surrounds it.

    Attributes
    ----------
    core : tuple of slice
        What this tile answers for; the cores of all tiles partition the image.
    read : tuple of slice
        What it looks at, within the padded image: the core, its margin, and up to
        a multiple of the network's stride. May end beyond the image; its last
        pixels are never of the core where shifted views lose them.
    """

    core: Region
    read: Region

    @property
    def inner(self) -> Region:
        """Where the core lies within what is read."""
        return tuple(
            slice(c.start - r.start, c.stop - r.start)
            for c, r in zip(self.core, self.read, strict=True)
        )

    @property
    def origin(self) -> tuple[int, ...]:
        """First pixel that is read, a multiple of the network's stride."""
        return tuple(r.start for r in self.read)

    @property
    def pixels(self) -> int:
        """How many are read."""
        return math.prod(r.stop - r.start for r in self.read)

    def halves(
        self, margin: Sequence[int], multiple: Sequence[int]
    ) -> "tuple[Tile, Tile] | None":
        """Cut the core's longest axis in two; None where both would be narrow.

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
        """Return a copy that is another along one axis."""
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
        Of the image, pixels per spatial axis.
    tile : sequence of int
        Largest core; rounded down to a multiple.
    margin : sequence of int
        Context on each side; rounded up to a multiple.
    multiple : sequence of int
        Every tile starts at a multiple of this and its size is one.

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
    """Return how many pixels at a tile's end its shifted views lose at most."""
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
    """Return a margin that holds what views lose, as a multiple."""
    return -(-max(margin, pixels_lost(multiple)) // multiple) * multiple
