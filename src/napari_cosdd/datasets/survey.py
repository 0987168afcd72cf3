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
from napari_cosdd.images.saturation import SATURATED
from napari_cosdd.images.stack import Stack
from napari_cosdd.remedies import Remedy

#: Largest side of the boxes that images are read in, pixels, by number of spatial axes.
BOX = {1: 1 << 22, 2: 2048, 3: 160}
#: Share of the pixels at one grey level, as of a detector that counts photons.
ONE_LEVEL = 0.2
#: Largest share of the pixels below that grey level.
LOWEST = 0.05
#: Pixels of a box that its span is measured on.
SAMPLE = 1 << 18
#: Quantiles that span the grey levels of a box.
SPAN = (0.0005, 0.9995)
#: Number of spans beyond them from which a pixel would set the scale alone.
FAR = 10.0
#: Ratio of the span of nearly all pixels to that of the middle half, from which the far
#: ones are no grey levels but marks of missing pixels.
MARKS = 1e6


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


def _selected_pixels(
    stacks: Sequence[Stack],
) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_] | None]]:
    """Yield the pixels to use box by box, and the mask of those not filled.

    Where only some pixels of a box are used, these come in a line, (c, n).
    """
    for stack in stacks:
        for n, region in boxes(stack):
            part, known = stack.read_known(n, region)
            selected = stack.selected(region)
            if selected is None:
                yield part, known
            elif selected.any():
                chosen = (slice(None), ..., selected)
                line = None if known is None else known[chosen].reshape(len(part), -1)
                yield part[chosen].reshape(len(part), -1), line


def check_finite(stacks: Sequence[Stack]) -> None:
    """Refuse pixels to use that are not finite.

    Raises
    ------
    BadInputError
        If there are any; the message gives their number.
    """
    bad = total = 0
    real = [stack for stack in stacks if np.dtype(stack.data.dtype).kind == "f"]
    for part, _known in _selected_pixels(real):
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
        self.n_pixels = self.not_finite = self.n_far = self.n_filled = 0
        self._top, self._at_top = -math.inf, 0
        self._digest = hashlib.sha256()
        self._some: list[NDArray[Any]] = []

    def read(
        self, stacks: Sequence[Stack], stop: Callable[[], bool] = lambda: False
    ) -> Iterator[NDArray[Any]]:
        """Survey all pixels, and yield them box by box, (c, *spatial).

        In what is yielded, single pixels far beyond all others are brought to the end
        of the others' range, since they would set the scale alone.

        Raises
        ------
        BadInputError
            At the end, if pixels are not finite, or are marks of missing ones.
        StoppedError
            Once `stop` returns True.
        """
        for part, known in _selected_pixels(stacks):
            if stop():
                raise StoppedError("stopped while the images were being read")
            self.n_filled += 0 if known is None else int(np.count_nonzero(~known))
            bad = int(np.count_nonzero(~np.isfinite(part)))
            self.n_pixels += part.size
            self.not_finite += bad
            if not bad:
                yield self._take(part)
        if self.not_finite:
            raise not_finite(self.not_finite, self.n_pixels)
        self._check_marks()

    def _take(self, part: NDArray[Any]) -> NDArray[Any]:
        """Survey a box; return it without pixels far beyond all others."""
        highest = float(part.max())
        if highest > self._top:
            self._top, self._at_top = highest, 0
        if highest == self._top:
            self._at_top += int(np.count_nonzero(part == highest))
        self._digest.update(np.ascontiguousarray(part).data)
        self._some.append(part.reshape(-1)[:: max(1, part.size // 4096)].copy())
        low, high = np.quantile(part.reshape(-1)[:: 1 + part.size // SAMPLE], SPAN)
        far = FAR * (float(high) - float(low))
        if not far > 0 or (part.min() >= low - far and part.max() <= high + far):
            return part
        near = np.clip(part.astype(np.float64), low - far, high + far)
        self.n_far += int(np.count_nonzero(near != part))
        return near

    def _check_marks(self) -> None:
        """Refuse values that are no grey levels, such as -3.4e38 for missing pixels."""
        some = np.concatenate(self._some).astype(np.float64)
        low, first, third, high = np.quantile(some, [0.001, 0.25, 0.75, 0.999])
        if third > first and high - low > MARKS * (third - first):
            raise BadInputError(
                f"grey levels from {low:g} to {high:g}, half of them from {first:g} to "
                f"{third:g}: these look like marks of missing pixels; replace them by "
                f"NaN and fill them ({Remedy.FILL_MISSING})"
            )

    @property
    def sha256(self) -> str:
        """Hash of all pixels."""
        return self._digest.hexdigest()

    def outliers(self) -> str | None:
        """Return a warning if single pixels are far beyond all others."""
        if not self.n_far:
            return None
        return (
            f"{self.n_far} pixels are far beyond all others (hot pixels, cosmic rays?) "
            "and are left out of the scale; they can be replaced before training and "
            f"denoising ({Remedy.FILL_OUTLIERS})"
        )

    def filled(self) -> str | None:
        """Return a sentence on the pixels that were filled."""
        if not self.n_filled:
            return None
        return f"{self.n_filled} of {self.n_pixels} pixels were filled"

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

    def dark(self) -> str | None:
        """Return a sentence if many pixels have one grey level, the lowest or nearly.

        A detector that counts photons gives it to all pixels that none has reached.
        """
        levels, n = np.unique(np.concatenate(self._some), return_counts=True)
        most = n.argmax()
        if n[most] < ONE_LEVEL * n.sum() or n[:most].sum() > LOWEST * n.sum():
            return None
        return (
            f"{n[most] / n.sum():.0%} of the pixels have the grey level "
            f"{levels[most]:g}, and hardly any a lower one: photons are counted, or "
            "levels were clipped"
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
            sha256=self.sha256,
        )


def not_finite(bad: int, total: int) -> BadInputError:
    """Return the error that refuses pixels that are not finite."""
    return BadInputError(
        f"{bad} of {total} pixels are not finite (NaN or infinite); each can be filled "
        f"with its nearest neighbour ({Remedy.FILL_MISSING})"
    )
