"""Pixels that were cut off at the highest grey level, as by a saturated detector."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Pixels at the highest level, relative to those at the level below, from which they
#: count as cut off. Where few photons are counted, the highest levels are rare.
PILED = 2
#: Share of pixels that were cut off from which an image counts as saturated.
SATURATED = 0.001


def cut_off(planes: NDArray[Any]) -> float:
    """Return the share of pixels that were cut off in the worst plane.

    Parameters
    ----------
    planes : ndarray, shape (..., y, x)
        Grey levels; NaN does not count.
    """
    shares = [0.0]
    for plane in planes.reshape(-1, *planes.shape[-2:]):
        values = plane[np.isfinite(plane)]
        if not values.size:
            continue
        at_top = values == values.max()
        rest, n = values[~at_top], int(at_top.sum())
        if rest.size and n > PILED * int((rest == rest.max()).sum()):
            shares.append(n / plane.size)
    return float(max(shares))
