"""Spatial autocorrelation of pure noise, by FFT (COSDD, section 5.1, figure 3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_cosdd.errors import BadInputError

#: Default of the largest lag, pixels.
MAX_LAG = 25
#: Number of lags, from 0, over which the shapes of signal and noise are compared.
SHAPE = 7
#: Factor on the standard error when the signal is removed: each value becomes a sum of
#: three, with weights 1, -4/3 and 1/3.
REMOVAL_COST = float(np.sqrt(1 + 16 / 9 + 1 / 9))


@dataclass(frozen=True)
class Autocorrelation:
    """Autocorrelation of noise for every lag up to `max_lag` in y and x.

    Attributes
    ----------
    values : ndarray, shape (2 max_lag + 1, 2 max_lag + 1)
        Lag (0, 0) is in the middle; its value is 1.
    n_pixels : int
        Number of pixels of noise that were measured.
    inflation : float
        Factor on the standard error for the removal of the signal.
    variance : float
        Variance of the noise, in squared units of the patches.
    shared : (float, float)
        Of noise along x and along y, the share that the next line has as well, if what
        was removed as signal is noise; see `shared_by_lines`. 0 if none was removed.
    """

    values: NDArray[np.float64]
    n_pixels: int
    inflation: float = 1.0
    variance: float = 1.0
    shared: tuple[float, float] = (0.0, 0.0)

    @property
    def max_lag(self) -> int:
        """Largest lag, pixels."""
        return len(self.values) // 2

    @property
    def along_x(self) -> NDArray[np.float64]:
        """Profile at horizontal lags 0, 1, 2, ..."""
        return self.values[self.max_lag, self.max_lag :]

    @property
    def along_y(self) -> NDArray[np.float64]:
        """Profile at vertical lags 0, 1, 2, ..."""
        return self.values[self.max_lag :, self.max_lag]

    def along(self, axis: str) -> NDArray[np.float64]:
        """Return the profile along "x" or "y"."""
        return {"x": self.along_x, "y": self.along_y}[axis]

    @property
    def standard_error(self) -> float:
        """Standard error of a value whose true value is zero.

        It is 1/√N for white noise. Neighbours with correlated noise are not
        independent, and Bartlett's formula gives √(Σ r²)/√N. The sum runs along the
        axes, where the correlation of interest lies.
        """
        x, y = self.along_x[1:], self.along_y[1:]
        total = 1 + 2 * float((x**2).sum() + (y**2).sum())
        return self.inflation * float(np.sqrt(total / self.n_pixels))


def autocorrelation(
    patches: Iterable[NDArray[Any]],
    max_lag: int = MAX_LAG,
    *,
    remove_signal: bool = False,
) -> Autocorrelation:
    """Measure the autocorrelation of patches of pure noise.

    Parameters
    ----------
    patches : iterable of ndarray, each of shape (y, x)
        Noise; the mean of each patch is subtracted.
    max_lag : int
        Largest lag in pixels; patches must be larger.
    remove_signal : bool
        Subtract the covariance of smooth signal that the patches still hold; see
        `without_signal`.

    Returns
    -------
    Autocorrelation
        Weighted over patches by their pixels, unbiased for each lag.

    Raises
    ------
    BadInputError
        If there is no patch, one is too small, all are constant, or nothing is left
        without the signal.
    """
    shown, max_lag = max_lag, max_lag + 2 if remove_signal else max_lag
    width = 2 * max_lag + 1
    products = np.zeros((width, width))
    pairs = np.zeros((width, width))
    n_pixels = 0
    for patch in patches:
        if min(patch.shape) <= max_lag:
            raise BadInputError(
                f"a region of {patch.shape[0]} × {patch.shape[1]} pixels is too small "
                f"for lags up to {max_lag}; draw a larger one"
            )
        noise = patch.astype(np.float64) - patch.mean()
        products += _correlate(noise, max_lag)
        pairs += _counts(patch.shape, max_lag)
        n_pixels += noise.size
    if n_pixels == 0:
        raise BadInputError("there is no region of noise to measure")
    covariance = products / pairs
    if not covariance[max_lag, max_lag] > 0:
        raise BadInputError("the region is constant: it holds no noise")
    inflation, shared = 1.0, (0.0, 0.0)
    if remove_signal:
        shared = shared_by_lines(covariance), shared_by_lines(covariance.T)
        raw = covariance[max_lag, max_lag]
        covariance = without_signal(covariance)
        left = covariance[shown, shown]
        # Cross terms with the removed signal still raise the error of the result.
        inflation = (
            REMOVAL_COST * float(np.sqrt(max(1.0, raw / left))) if left > 0 else 1
        )
    variance = covariance[shown, shown]
    if not variance > 0:
        raise BadInputError(
            "no noise can be told from the structure of the image: what differs "
            "between pixels changes smoothly"
        )
    values = covariance / variance
    return Autocorrelation(values, n_pixels, inflation, float(variance), shared)


def without_signal(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance of the noise, two lags shorter than that of the image.

    Noise along one axis is independent in other rows (or columns), so the covariances
    one and two rows away come from the signal alone. The signal's covariance at
    distance d is extrapolated from them as a + b d², since a covariance is even and
    smooth. This equals measuring second differences across the rows, which cancel
    smooth signal.
    """
    size = len(covariance) - 4
    lag = np.abs(np.arange(size) - size // 2)
    step = np.where(np.arange(size) < size // 2, -1, 1)
    outer = np.arange(size) + 2 + step
    weight = (lag**2 - (lag + 1) ** 2) / ((lag + 2) ** 2 - (lag + 1) ** 2)

    def remaining(c: NDArray[np.float64]) -> NDArray[np.float64]:
        near, far = c[outer, 2:-2], c[outer + step, 2:-2]
        return np.asarray(c[2:-2, 2:-2] - near - weight[:, None] * (far - near))

    across_rows, across_columns = remaining(covariance), remaining(covariance.T).T
    result = across_rows.copy()
    middle = size // 2
    result[:, middle] = across_columns[:, middle]
    # Extrapolation along correlated noise subtracts part of its variance.
    result[middle, middle] = max(
        across_rows[middle, middle], across_columns[middle, middle]
    )
    return result


def shared_by_lines(covariance: NDArray[np.float64]) -> float:
    """Return the share of the noise along rows that the next row has as well.

    The covariance of a row with the next one comes from signal, which changes smoothly
    along the row: a + b d² + c d⁴ at distance d. Noise that two rows share, as after
    smoothing or resampling an image, adds a multiple of the noise's own covariance,
    whose shape is that of the difference between both. The multiple is fitted. A large
    share of either sign says that the shapes of signal and noise are alike.

    Parameters
    ----------
    covariance : ndarray, shape (2 n + 1, 2 n + 1)
        Of the image, for lags along y and x up to n.
    """
    middle = len(covariance) // 2
    d = np.arange(min(SHAPE, middle + 1))
    within, between = covariance[middle, middle + d], covariance[middle + 1, middle + d]
    own = within - between
    if not own[0] > 0:
        return 1.0  # rows are alike
    shapes = np.stack(
        [own, *(float(own[0]) * d**power for power in (0.0, 2.0, 4.0))], 1
    )
    multiple = float(np.linalg.lstsq(shapes, between, rcond=None)[0][0])
    return multiple / (1 + abs(multiple))


def _correlate(noise: NDArray[np.float64], max_lag: int) -> NDArray[np.float64]:
    """Return the sum over p of noise(p) · noise(p + lag), lag zero in the middle."""
    shape = [fft.next_fast_len(n + max_lag, real=True) for n in noise.shape]
    spectrum = fft.rfft2(noise, shape)
    full = fft.irfft2(np.abs(spectrum) ** 2, shape)
    rolled = np.roll(full, (max_lag, max_lag), (0, 1))
    return np.asarray(rolled[: 2 * max_lag + 1, : 2 * max_lag + 1])


def _counts(shape: tuple[int, ...], max_lag: int) -> NDArray[np.float64]:
    lag = np.abs(np.arange(-max_lag, max_lag + 1))
    return np.outer(shape[0] - lag, shape[1] - lag).astype(np.float64)
