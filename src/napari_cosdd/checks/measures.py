"""Measures of noise and of what was removed, on planes (..., y, x)."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation, autocorrelation

Floats = NDArray[np.float64]
#: Levels of the signal; pixels that one must have per plane; largest lag.
LEVELS, ENOUGH, MAX_LAG = 12, 200, 12
#: Values that a distribution is taken from, at most.
THINNED = 200_000


def levels_of(solutions: Floats) -> NDArray[np.int8]:
    """Return the number of each pixel's level, equally many pixels in each."""
    values = _thinned(solutions)
    edges = np.quantile(values, np.linspace(0, 1, LEVELS + 1)[1:-1])
    return np.searchsorted(edges, solutions).astype(np.int8)


def standardized(noise: Floats, levels: NDArray[np.int8]) -> Floats:
    """Let dark pixels count as much as bright ones, whose noise is stronger."""
    scale = np.ones(LEVELS)
    for i in np.unique(levels):
        scale[i] = noise[levels == i].std() or 1
    return np.asarray(noise / scale[levels])


def autocorrelation_of(planes: Floats) -> Autocorrelation:
    """Return the autocorrelation of all planes, as far as they are large enough."""
    size = planes.shape[-2:]
    return autocorrelation(planes.reshape(-1, *size), min(MAX_LAG, min(size) // 2 - 1))


def independent_pixels(
    n: int, found: Autocorrelation, *, of_means: bool = False
) -> float:
    """Return how many independent pixels `n` correlated ones are worth.

    Neighbours along a row tell nearly the same where the noise is correlated. By
    Bartlett's formula for variances and correlations, or for means.
    """
    total = 1.0
    for axis in "xy":
        r = found.along(axis)[1:]
        total += 2 * float(np.maximum(r, 0).sum() if of_means else (r**2).sum())
    return n / total


def distance(a: Floats, b: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance between the values of two arrays."""
    return float(ks_2samp(_thinned(a), _thinned(b)).statistic)


def pairs(values: Floats, lag: int, axis: int) -> tuple[Floats, Floats]:
    """Return differences and sums of pixels `lag` apart along an axis."""
    moved = np.moveaxis(values, axis, -1)
    return moved[..., lag:] - moved[..., :-lag], moved[..., lag:] + moved[..., :-lag]


def apart(a: Floats, b: Floats) -> float:
    """Return the largest difference of two profiles, as far as both go."""
    n = min(len(a), len(b))
    return float(np.abs(a[:n] - b[:n]).max())


def correlation(a: Floats, b: Floats) -> float:
    """Return the correlation of two arrays about zero; 0 if one is zero."""
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / power if power > 0 else 0.0


def _thinned(values: Floats) -> Floats:
    """Return values at random places, the same for arrays of one size."""
    if values.size <= THINNED:
        return values.ravel()
    places = np.random.default_rng(0).integers(0, values.size, THINNED)
    return values.ravel()[places]
