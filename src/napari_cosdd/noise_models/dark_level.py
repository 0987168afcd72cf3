"""The grey level of pixels without light, which does not move with the signal."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

#: Share of the lowest signals that tell the grey level without light.
DARKEST = 0.02
#: Largest spread of a dark level that stays in place, in deviations of the noise. A
#: camera's readout noise is wider, and moves with the signal.
NARROW = 0.1


class DarkLevel(NamedTuple):
    """Grey level of most pixels where there is hardly any signal, and its spread.

    A detector that counts photons gives it to all pixels without one, however bright
    their surroundings are.
    """

    level: float
    spread: float


def dark_level(s: NDArray[np.float64], x: NDArray[np.float64]) -> DarkLevel:
    """Return median and median absolute deviation of x where the signal is lowest."""
    dark = x[s <= np.quantile(s, DARKEST)]
    return DarkLevel(float(np.median(dark)), float(stats.median_abs_deviation(dark)))


def stay_in_place(
    s: NDArray[np.float64], x: NDArray[np.float64], width: float
) -> NDArray[np.bool_]:
    """Return which pixels have the dark level, if it is narrow; `width` of a bin."""
    level, spread = dark_level(s, x)
    spread = max(spread, width)
    if spread > NARROW * float((x - s).std()):
        return np.zeros(x.shape, bool)
    return np.abs(x - level) <= 2 * spread
