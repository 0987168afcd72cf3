"""A stack whose missing pixels, and on request outliers, are filled."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import Region
from napari_cosdd.images.outliers import BLOCK, RARE, outliers
from napari_cosdd.images.stack import ArrayLike, Stack
from napari_cosdd.images.stuck_lines import stuck_lines, without_stuck_lines

#: Which pixels to fill: none, those that are not finite, or hot and dead ones and
#: cosmic rays as well.
Fill = Literal["nothing", "missing", "outliers"]
FILLS: tuple[Fill, ...] = ("nothing", "missing", "outliers")
#: Width of the border around a region that may supply values for its holes, pixels: a
#: multiple of `BLOCK`, and two of these at least, so that overlapping parts of an image
#: find the same outliers.
AROUND = 32
#: Size up to which all images of a stack are filled once and kept, bytes.
KEPT = 1 << 30
#: Sample in which the share of outliers is measured: number of images, boxes along each
#: axis, side of a box in pixels.
SAMPLE = (6, 2, 512)
#: Number of strips across all lines of an image, by which stuck lines are found.
STRIPS = 4
#: Width of a strip, pixels.
STRIP = 64


class FilledStack(Stack):
    """A stack that replaces pixels that are not finite by the nearest finite value.

    Values may come from up to `AROUND` pixels beyond the region that is read, so that
    overlapping tiles agree. If none there is finite, the channel's median is used.
    Outliers are replaced by the median of their neighbours in the plane (y, x), unless
    so many pixels stick out that they are the noise itself; stuck rows and columns by
    the mean of the lines beside them.

    Parameters
    ----------
    data, axes, ndim, name, selection
        As of a `Stack`.
    fill : {"missing", "outliers"}
        Pixels to fill.

    Raises
    ------
    BadInputError
        If outliers are to be filled in lines.
    """

    def __init__(
        self,
        data: ArrayLike,
        axes: str,
        ndim: int,
        fill: Fill,
        name: str = "the image",
        selection: NDArray[np.bool_] | None = None,
    ) -> None:
        super().__init__(data, axes, ndim, name, selection)
        if fill == "outliers" and ndim == 1:
            raise BadInputError("outliers are found in planes, not in lines")
        self.fill = fill
        self._medians: dict[tuple[int, int], float] = {}
        self._kept: dict[int, tuple[NDArray[Any], NDArray[np.bool_] | None]] = {}
        self._stuck: dict[tuple[int, int], list[NDArray[np.bool_]]] = {}
        self._keeps = math.prod(data.shape) * self.dtype.itemsize <= KEPT

    def read(self, n: int, region: Region | None = None) -> NDArray[Any]:
        """Return image `n` in a region, every pixel finite."""
        return self.read_known(n, region)[0]

    def read_known(
        self, n: int, region: Region | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return a region of image `n`, and the mask of its unfilled pixels."""
        if not self._keeps:
            return self._read_region(n, region)
        if n not in self._kept:
            self._kept[n] = self._read_region(n, None)
        pixels, known = self._kept[n]
        if region is None:
            return pixels, known
        part = (slice(None), *region)
        inside = None if known is None else known[part]
        return pixels[part], None if inside is None or inside.all() else inside

    @property
    def has_too_many_outliers(self) -> bool:
        """Whether so many pixels stick out that they are taken for noise, and stay."""
        return self.fill == "outliers" and not self._fills_outliers

    @cached_property
    def _fills_outliers(self) -> bool:
        if self.fill != "outliers":
            return False
        found = total = 0
        for n, box in self.boxes(*SAMPLE):
            for c, channel in enumerate(super().read(n, box)):
                filled = self._filled(n, c, channel)
                planes = filled.reshape(-1, *filled.shape[-2:])
                found += sum(int(outliers(plane).mask.sum()) for plane in planes)
                total += filled.size
        return found <= RARE * total

    def _read_region(
        self, n: int, region: Region | None
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        pixels = super().read(n, region)
        if self.fill == "missing" and np.isfinite(pixels).all():
            return pixels, None
        inside = self._bounds(region)
        wide = tuple(
            slice(
                max(0, r.start // BLOCK * BLOCK - AROUND),
                min(-(-r.stop // BLOCK) * BLOCK + AROUND, size),
            )
            for r, size in zip(inside, self.size, strict=True)
        )
        around = super().read(n, wide)
        known = np.isfinite(around)
        filled = np.stack(
            [self._filled(n, c, channel) for c, channel in enumerate(around)]
        )
        if self.fill == "outliers":
            self._fill_stuck_lines(n, wide, filled, known)
        if self._fills_outliers:
            for index in np.ndindex(filled.shape[:-2]):
                mask, median, _ = outliers(filled[index])
                filled[index][mask] = median[mask].astype(filled.dtype)
                known[index] &= ~mask
        inner = tuple(
            slice(r.start - w.start, r.stop - w.start)
            for r, w in zip(inside, wide, strict=True)
        )
        part = (slice(None), *inner)
        return filled[part], None if known[part].all() else known[part]

    def _fill_stuck_lines(
        self, n: int, wide: Region, filled: NDArray[Any], known: NDArray[np.bool_]
    ) -> None:
        """Fill the stuck lines of a region of image `n`, and mark them as not known."""
        for index in np.ndindex(filled.shape[:-2]):
            for axis, stuck in enumerate(self._stuck_lines(n, index[0])):
                part = stuck[wide[axis - 2]]
                if part.any() and not part.all():
                    filled[index] = without_stuck_lines(filled[index], part, axis)
                    np.moveaxis(known[index], axis, 0)[part] = False

    def _stuck_lines(self, n: int, c: int) -> list[NDArray[np.bool_]]:
        """Return the stuck rows and columns of a channel, found in strips across them.

        Those of a volume are found in its middle plane.
        """
        if (n, c) not in self._stuck:
            outer = tuple(slice(z // 2, z // 2 + 1) for z in self.size[:-2])
            found = []
            for axis in (0, 1):
                length = self.size[-1 - axis]  # of the lines
                starts = np.linspace(0, max(0, length - STRIP), STRIPS).astype(int)
                strips = []
                for start in np.unique(starts):
                    part = [slice(0, side) for side in self.size[-2:]]
                    part[1 - axis] = slice(start, min(start + STRIP, length))
                    pixels = super().read(n, (*outer, *part))[c]
                    filled = self._filled(n, c, pixels)
                    strips.append(filled.reshape(filled.shape[-2:]))
                found.append(stuck_lines(np.concatenate(strips, 1 - axis), axis))
            self._stuck[n, c] = found
        return self._stuck[n, c]

    def _bounds(self, region: Region | None) -> Region:
        whole = (slice(None),) * len(self.size)
        return tuple(
            slice(*r.indices(size)[:2])
            for r, size in zip(region or whole, self.size, strict=True)
        )

    def _filled(self, n: int, c: int, channel: NDArray[Any]) -> NDArray[Any]:
        bad = ~np.isfinite(channel)
        if not bad.any():
            return channel
        if bad.all():
            return np.full_like(channel, self._median(n, c))
        nearest = ndimage.distance_transform_edt(
            bad, return_distances=False, return_indices=True
        )
        return np.asarray(channel[tuple(nearest)])

    def _median(self, n: int, c: int) -> float:
        """Return the median of the finite pixels of a channel of image `n`."""
        if (n, c) not in self._medians:
            channel = super().read(n)[c]
            finite = channel[np.isfinite(channel)]
            if not len(finite):
                raise BadInputError(
                    f"{self.name}: image {n} has no finite pixel to fill channel "
                    f"{c} with"
                )
            self._medians[n, c] = float(np.median(finite))
        return self._medians[n, c]


def too_many(stacks: Sequence[Stack]) -> str | None:
    """Return a warning if outliers were to be filled, but are the noise itself."""
    filled = (s for s in stacks if isinstance(s, FilledStack))
    if not any(stack.has_too_many_outliers for stack in filled):
        return None
    return (
        f"more than {100 * RARE:g} % of the pixels stick out from their neighbours: "
        "they are taken for noise, such as single photons, and are not filled"
    )
