"""What a profile of the autocorrelation along an axis says: reach, strength, shape.

A profile has the correlations at lags 0, 1, 2, ... pixels.
"""

import numpy as np
from numpy.typing import NDArray

#: Lags whose correlations decide, pixels: 1 to this one.
DECIDING = 5
#: Root of the sum of the squared correlations that decide, below which a correlation is
#: not worth modelling: on published confocal and two-photon images a model without a
#: noise axis is as good or better (docs/measurements.md, published images).
WORTH = 0.08
#: Share of the correlation at small lags that is left at the largest ones if the noise
#: is an offset of each line.
STAYS = 0.6
#: Smallest receptive field, pixels.
SHORTEST = 5
#: Largest receptive field, pixels.
LONGEST = 120
#: Largest receptive field if the noise reaches less than `FAR` pixels.
USUAL = 40
#: Reach of the noise from which it may need more, pixels.
FAR = 20


def deciding(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlations of a profile that decide about its axis."""
    return profile[1 : DECIDING + 1]


def in_numbers(profile: NDArray[np.float64]) -> str:
    """Return the deciding correlations, as in "0.56, 0.21, 0.04, 0.00, -0.01"."""
    return ", ".join(f"{r + 0.0:.2f}" for r in deciding(profile).round(2))


def reach_of(profile: NDArray[np.float64], threshold: float) -> int:
    """Return the lag after which the profile stays below the threshold."""
    above = np.flatnonzero(np.abs(profile) >= threshold)
    gaps = np.flatnonzero(np.diff(above) > 3)
    reach = int(above[gaps[0]] if len(gaps) else above[-1])
    return reach or int(np.abs(profile[1:]).argmax()) + 1  # at one larger lag alone


def receptive_field(reach: int) -> int:
    """Return how many earlier pixels a model of noise of this reach should see."""
    return int(np.clip(2 * reach + 3, SHORTEST, USUAL if reach < FAR else LONGEST))


def is_slight(profile: NDArray[np.float64]) -> bool:
    """Whether the deciding correlations are too weak to be worth modelling."""
    return float(np.sqrt((deciding(profile) ** 2).sum())) < WORTH


def is_offset(profile: NDArray[np.float64], significant: float) -> bool:
    """Whether a profile stays up over all lags, as offsets of lines let it."""
    far = profile[len(profile) // 2 :]
    near = float(profile[1 : DECIDING + 1].max())
    return bool(len(far) > DECIDING and np.median(far) > max(significant, STAYS * near))
