"""Looking at the images before any work: what to refuse, what to warn of."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.axes import Region, Stack
from napari_cosdd.errors import BadInputError

#: Images are read in boxes of at most so many pixels per axis, by spatial axes.
BOX = {1: 1 << 22, 2: 2048, 3: 160}
#: Share of pixels at the very top of the range from which saturation is suspected.
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
        With their number, and how to mask them.
    """
    bad = total = 0
    real = [stack for stack in stacks if np.dtype(stack.data.dtype).kind == "f"]
    for part in pixels(real):
        bad += int(np.count_nonzero(~np.isfinite(part)))
        total += part.size
    if bad:
        raise BadInputError(
            f"{bad} of {total} pixels are not finite (NaN or infinite); mask them "
            "(--mask, mask=True) to fill each with its nearest neighbour"
        )


def check_channels(stacks: Sequence[Stack], names: Sequence[str]) -> None:
    """Refuse images that differ in their channels."""
    counts = {stack.n_channels for stack in stacks}
    if len(counts) > 1:
        listed = ", ".join(
            f"{name} has {stack.n_channels}"
            for name, stack in zip(names, stacks, strict=True)
        )
        raise BadInputError(f"images must have equal channels: {listed:.300}")


def saturation(stacks: Sequence[Stack]) -> str | None:
    """Return a warning if many pixels share the highest grey level."""
    top, count, total = -np.inf, 0, 0
    for part in pixels(stacks):
        highest = float(part.max())
        if highest > top:
            top, count = highest, 0
        count += int(np.count_nonzero(part == top)) if highest == top else 0
        total += part.size
    if count / total < SATURATED:
        return None
    return (
        f"{100 * count / total:.1f} % of the pixels have the highest grey level "
        f"({top:g}): the image looks saturated, and what was cut off cannot be restored"
    )


def summary(stacks: Sequence[Stack], names: Sequence[str]) -> dict[str, Any]:
    """Describe the training data for the model file: names, shapes, levels, hash."""
    digest = hashlib.sha256()
    values = []
    for part in pixels(stacks):
        digest.update(np.ascontiguousarray(part).data)
        values.append(part.reshape(-1)[:: max(1, part.size // 4096)])
    levels = np.quantile(np.concatenate(values), [0.01, 0.5, 0.99])
    return {
        "names": list(names)[:100],
        "n_images": sum(s.n_images for s in stacks),
        "shapes": [list(s.data.shape) for s in stacks][:100],
        "dtype": str(stacks[0].data.dtype),
        "levels_1_50_99": [float(v) for v in levels],
        "sha256": digest.hexdigest(),
    }
