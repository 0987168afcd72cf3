"""Measures of noise and of residuals, on planes (..., y, x)."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation, autocorrelation

Floats = NDArray[np.float64]
#: Number of levels of the signal.
LEVELS = 12
#: Smallest number of pixels of a level in each sample.
ENOUGH = 200
#: Largest lag, pixels.
MAX_LAG = 12
#: Largest number of values that a distribution is estimated from.
THINNED = 200_000


def levels_of(solutions: Floats) -> NDArray[np.int8]:
    """Return the index of each pixel's level; levels have equally many pixels."""
    values = _thinned(solutions)
    edges = np.quantile(values, np.linspace(0, 1, LEVELS + 1)[1:-1])
    return np.searchsorted(edges, solutions).astype(np.int8)


def standardized(noise: Floats, levels: NDArray[np.int8]) -> Floats:
    """Scale noise to unit deviation at each level, so that all count equally."""
    scale = np.ones(LEVELS)
    for i in np.unique(levels):
        scale[i] = noise[levels == i].std() or 1
    return np.asarray(noise / scale[levels])


def autocorrelation_of(planes: Floats) -> Autocorrelation:
    """Return the autocorrelation of all planes, up to lags that their size allows."""
    size = planes.shape[-2:]
    return autocorrelation(planes.reshape(-1, *size), min(MAX_LAG, min(size) // 2 - 1))


def independent_pixels(
    n: int, found: Autocorrelation, *, of_means: bool = False
) -> float:
    """Return the effective number of independent pixels of `n` correlated ones.

    Neighbours with correlated noise carry less information. Bartlett's formula gives
    the number for variances and correlations or, with `of_means`, for means.
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
    """Return the largest difference of two profiles, over their common length."""
    n = min(len(a), len(b))
    return float(np.abs(a[:n] - b[:n]).max())


def correlation(a: Floats, b: Floats) -> float:
    """Return the correlation of two arrays about zero; 0 if one is zero."""
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / power if power > 0 else 0.0


def _thinned(values: Floats) -> Floats:
    """Return values at random positions, the same for arrays of equal size."""
    if values.size <= THINNED:
        return values.ravel()
    places = np.random.default_rng(0).integers(0, values.size, THINNED)
    return values.ravel()[places]
