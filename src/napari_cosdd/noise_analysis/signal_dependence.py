"""Variance of the noise against the signal (COSDD, figure 3, right)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Default number of bins of the signal.
N_BINS = 24
#: Usual number of pixels of a bin in a small image.
PIXELS = 150
#: Relative error of a variance that is measured with one pixel: √2 if pixels were
#: independent and their mean was taken; neighbours and the median double it.
ERROR = 3.0
#: Number of standard errors by which a slope must exceed zero.
SURE = 3.0


@dataclass(frozen=True)
class SignalDependence:
    """Variance of the noise at levels of the signal.

    Attributes
    ----------
    signal, variance : ndarray, equal lengths
        Signal in grey levels, variance in grey levels squared.
    slope : float
        Growth of the variance per grey level: the gain of a Poisson detector.
    grows : bool
        Whether the variance at the bright end clearly exceeds that at the dark end.
    """

    signal: NDArray[np.float64]
    variance: NDArray[np.float64]
    slope: float
    grows: bool


def variance_of_residual(
    signal: NDArray[Any], noise: NDArray[Any], n_bins: int = N_BINS
) -> SignalDependence:
    """Bin the noise by an estimate of the signal; both have the same shape."""
    return _binned(signal.ravel(), noise.ravel().astype(np.float64) ** 2, n_bins)


def variance_of_image(
    plane: NDArray[Any], axis: str | None, n_bins: int = N_BINS
) -> SignalDependence:
    """Estimate the variance against the signal from one noisy image.

    Rows have independent noise, so fourth differences across them cancel signal that
    is a cubic polynomial there and keep the noise; their median in each bin ignores
    edges.

    Parameters
    ----------
    plane : ndarray, shape (y, x)
        Image; NaN where it is not to be used.
    axis : {"x", "y", None}
        Axis along which the noise is correlated.
    """
    values = plane.astype(np.float64)
    step = grey_step(values)
    if step:  # dithered: differences of integers are too coarse for a median
        values += np.random.default_rng(0).uniform(-step / 2, step / 2, values.shape)
    if axis == "y":
        values = values.T
    kernel = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
    kernel /= np.sqrt((kernel**2).sum())
    inner = slice(2, -2)
    difference = ndimage.correlate1d(values, kernel, 0)[inner]
    smooth = ndimage.gaussian_filter(values, 2)[inner]
    # The median of the square of a normal variable is 0.4549 of its variance.
    return _binned(
        smooth.ravel(), difference.ravel() ** 2, n_bins, 1 / 0.4549, step**2 / 12
    )


def _binned(
    signal: NDArray[Any],
    squares: NDArray[np.float64],
    n_bins: int,
    median_factor: float | None = None,
    added: float = 0.0,
) -> SignalDependence:
    there = np.isfinite(signal) & np.isfinite(squares)
    signal, squares = signal[there], squares[there]
    n_bins = max(2, min(n_bins, len(signal) // PIXELS))
    shares = np.linspace(0.005, 0.995, n_bins + 1)
    quantiles = np.quantile(signal, shares)
    even = np.linspace(quantiles[0], quantiles[-1], n_bins + 1)
    # Bins of equal counts resolve a background of most pixels, even ones the rest.
    edges = np.unique(np.concatenate([even, quantiles]))
    bins = np.digitize(signal, edges).astype(np.int16)  # from 1 on they are inside
    order = np.argsort(bins, kind="stable")
    ends = np.searchsorted(bins, np.arange(len(edges)), "right", order)
    levels, variances, counts = [], [], []
    for inside in np.split(order, ends)[1:-1]:
        if len(inside) < 50:
            continue
        levels.append(signal[inside].mean())
        some = squares[inside]
        variance = (
            some.mean() if median_factor is None else np.median(some) * median_factor
        )
        variances.append(max(0.0, variance - added))
        counts.append(len(inside))
    x, v = np.array(levels), np.array(variances)
    if len(x) < 2:
        return SignalDependence(x, v, 0.0, False)
    # All bins have about the same relative error: weights go as 1/variance.
    errors = ERROR * np.maximum(v, 1e-12 + 1e-3 * v.max()) / np.sqrt(counts)
    (slope, offset), covariance = np.polyfit(x, v, 1, w=1 / errors, cov="unscaled")
    rise = slope * (x[-1] - x[0])
    certain = slope > SURE * np.sqrt(covariance[0, 0])
    grows = bool(certain and rise > 0.5 * max(offset + slope * x[0], 0.0))
    return SignalDependence(x, v, float(slope), grows)


def grey_step(values: NDArray[Any]) -> float:
    """Return the distance of neighbouring grey levels: 1 for whole numbers, else 0."""
    whole = (values == np.rint(values)) | np.isnan(values)
    return 1.0 if whole.all() else 0.0
