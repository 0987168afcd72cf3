"""The survey of all pixels before a training: errors, warnings and a summary."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.errors import BadInputError, StoppedError
from napari_cosdd.images.axes import Region
from napari_cosdd.images.stack import Stack

#: Largest side of the boxes that images are read in, pixels, by number of spatial axes.
BOX = {1: 1 << 22, 2: 2048, 3: 160}
#: Share of pixels at the highest grey level above which a saturation warning is given.
SATURATED = 0.001


def boxes(stack: Stack) -> Iterator[tuple[int, Region]]:
    """Yield all parts of a stack, each small enough for memory."""
    for n in range(stack.n_images):
        side = BOX[len(stack.size)]
        starts = [range(0, size, side) for size in stack.size]
        for index in np.ndindex(*(len(s) for s in starts)):
            yield (
                n,
                tuple(
                    slice(s[i], min(s[i] + side, size))
                    for s, i, size in zip(starts, index, stack.size, strict=True)
                ),
            )


def pixels(stacks: Sequence[Stack]) -> Iterator[NDArray[Any]]:
    """Yield the pixels of all stacks box by box, (c, *spatial)."""
    for stack in stacks:
        for n, region in boxes(stack):
            yield stack.read(n, region)


def check_finite(stacks: Sequence[Stack]) -> None:
    """Refuse pixels that are not finite.

    Raises
    ------
    BadInputError
        If there are any; the message gives their number.
    """
    bad = total = 0
    real = [stack for stack in stacks if np.dtype(stack.data.dtype).kind == "f"]
    for part in pixels(real):
        bad += int(np.count_nonzero(~np.isfinite(part)))
        total += part.size
    if bad:
        raise not_finite(bad, total)


def check_channels(stacks: Sequence[Stack], names: Sequence[str]) -> None:
    """Refuse images that differ in their channels."""
    counts = {stack.n_channels for stack in stacks}
    if len(counts) > 1:
        listed = ", ".join(
            f"{name} has {stack.n_channels}"
            for name, stack in zip(names, stacks, strict=True)
        )
        raise BadInputError(
            f"all images must have the same number of channels: {listed:.300}"
        )


class Survey:
    """Defects, saturation, quantiles and hash of all pixels, from one pass.

    Files may be larger than memory and slow to read, so they are read only once.
    """

    def __init__(self) -> None:
        self.n_pixels = self.not_finite = 0
        self._top, self._at_top = -math.inf, 0
        self._digest = hashlib.sha256()
        self._some: list[NDArray[Any]] = []

    def read(
        self, stacks: Sequence[Stack], stop: Callable[[], bool] = lambda: False
    ) -> Iterator[NDArray[Any]]:
        """Survey all pixels, and yield them box by box, (c, *spatial).

        Raises
        ------
        BadInputError
            At the end, if pixels are not finite.
        StoppedError
            Once `stop` returns True.
        """
        for part in pixels(stacks):
            if stop():
                raise StoppedError("stopped while the images were being read")
            bad = int(np.count_nonzero(~np.isfinite(part)))
            self.n_pixels += part.size
            self.not_finite += bad
            if not bad:
                self._take(part)
                yield part
        if self.not_finite:
            raise not_finite(self.not_finite, self.n_pixels)

    def _take(self, part: NDArray[Any]) -> None:
        highest = float(part.max())
        if highest > self._top:
            self._top, self._at_top = highest, 0
        if highest == self._top:
            self._at_top += int(np.count_nonzero(part == highest))
        self._digest.update(np.ascontiguousarray(part).data)
        self._some.append(part.reshape(-1)[:: max(1, part.size // 4096)].copy())

    def saturation(self) -> str | None:
        """Return a warning if many pixels share the highest grey level."""
        share = self._at_top / self.n_pixels
        if share < SATURATED:
            return None
        return (
            f"{100 * share:.1f} % of the pixels have the highest grey level "
            f"({self._top:g}): the image looks saturated, and what was cut off "
            "cannot be restored"
        )

    def summary(self, stacks: Sequence[Stack], names: Sequence[str]) -> TrainedOn:
        """Describe the images for the model file: names, shapes, levels, hash."""
        low, middle, high = np.quantile(np.concatenate(self._some), [0.01, 0.5, 0.99])
        return TrainedOn(
            names=tuple(names)[:100],
            n_images=sum(s.n_images for s in stacks),
            shapes=tuple(tuple(s.data.shape) for s in stacks)[:100],
            dtype=str(stacks[0].data.dtype),
            levels_1_50_99=(float(low), float(middle), float(high)),
            sha256=self._digest.hexdigest(),
        )


def not_finite(bad: int, total: int) -> BadInputError:
    """Return the error that refuses pixels that are not finite."""
    return BadInputError(
        f"{bad} of {total} pixels are not finite (NaN or infinite); --fill-missing "
        "(fill_missing=True) fills each with its nearest neighbour"
    )
