"""Simulated images and noise: that of the papers, and fields of known spectrum.

Noises take a clean signal scaled to 0..1, of shape (..., y, x), and a numpy generator.
"Row" means along the last axis; transpose for columns.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal, special

Signal = NDArray[np.float32]


def stripes(
    clean: Signal,
    rng: np.random.Generator,
    *,
    gain: float = 0.002,
    gaussian: float = 0.02,
    row: float = 0.025,
    blur: float = 1.0,
) -> Signal:
    """Add Poisson, white Gaussian and row-blurred Gaussian noise ("FFHQ - Stripe").

    Preprint, section 5.1. The benchmark doubles every part: gain 0.008 (which
    doubles the shot noise's deviation), gaussian 0.04, row 0.05.

    Parameters
    ----------
    clean : ndarray, shape (..., y, x)
        Signal, 0 to 1.
    rng : numpy.random.Generator
        Source of randomness.
    gain : float
        Signal of one photon: x = gain · Poisson(s / gain).
    gaussian : float
        Standard deviation of the white part.
    row : float
        Standard deviation of the white noise before it is blurred along the row.
    blur : float
        Standard deviation of that blur, pixels.

    Returns
    -------
    ndarray, shape of `clean`, float32
    """
    noisy = _shot_and_read(clean, rng, gain, gaussian)
    white = rng.normal(0, row, clean.shape)
    return (noisy + ndimage.gaussian_filter1d(white, blur, axis=-1)).astype(np.float32)


def long_range_rows(
    clean: Signal,
    rng: np.random.Generator,
    *,
    gain: float = 0.008,
    gaussian: float = 0.04,
    row: float = 0.08,
    decay: float = 0.93,
) -> Signal:
    """Add Poisson and Gaussian noise, and an AR(1) process along each row.

    The detector of a two-photon microscope adds such noise.

    Parameters
    ----------
    clean : ndarray, shape (..., y, x)
        Signal, 0 to 1.
    rng : numpy.random.Generator
        Source of randomness.
    gain, gaussian : float
        As in `stripes`.
    row : float
        Stationary standard deviation of the row process.
    decay : float
        Autocorrelation of the row process at a lag of one pixel.

    Returns
    -------
    ndarray, shape of `clean`, float32
    """
    noisy = _shot_and_read(clean, rng, gain, gaussian)
    return (noisy + row * ar1(clean.shape, decay, rng)).astype(np.float32)


def ar1(
    shape: tuple[int, ...], decay: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a stationary AR(1) process along the last axis, unit variance."""
    innovations = rng.normal(size=shape) * np.sqrt(1 - decay**2)
    innovations[..., 0] /= np.sqrt(1 - decay**2)
    filtered: NDArray[np.float64] = signal.lfilter([1], [1, -decay], innovations)
    return filtered


def checkerboard(
    clean: Signal,
    rng: np.random.Generator,
    *,
    variance: float = 0.15,
    darkest: float = 0.15,
    amplitude: float = 0.1,
) -> Signal:
    """Add inversely signal-dependent noise and a column pattern ("Checkerboard").

    Preprint, section 5.1: N(0, 0.15 · 1/s) plus two pixels -0.1 and two pixels
    +0.1 in turn along each column, starting at random. Here the standard deviation
    is 0.015/s: with a variance of 0.15/s an image scaled to 0..1 (deviation 0.55 at
    s = 0.5) would have a far lower PSNR than the paper reports. s is bounded below by
    `darkest`, and the phase is drawn uniformly for every column of every image.

    Returns
    -------
    ndarray, shape of `clean`, float32
    """
    deviation = 0.1 * variance / np.maximum(clean, darkest)
    y = np.arange(clean.shape[-2])[:, None]
    phase = rng.integers(0, 4, (*clean.shape[:-2], 1, clean.shape[-1]))
    pattern = np.where((y + phase) % 4 < 2, -amplitude, amplitude)
    return (clean + rng.normal(size=clean.shape) * deviation + pattern).astype(
        np.float32
    )


def _shot_and_read(
    clean: Signal, rng: np.random.Generator, gain: float, gaussian: float
) -> NDArray[np.float64]:
    shot = gain * rng.poisson(clean / gain)
    return np.asarray(shot + rng.normal(0, gaussian, clean.shape))


def cells(size: tuple[int, int], rng: np.random.Generator, n: int = 40) -> Signal:
    """Draw a phantom of round cells with textured insides and thin filaments.

    Parameters
    ----------
    size : (y, x)
        Pixels.
    rng : numpy.random.Generator
        Source of randomness.
    n : int
        Cells.

    Returns
    -------
    ndarray, shape `size`, 0 to 1
    """
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    texture = gaussian_field(size, 3.0, rng)
    image = np.zeros(size)
    for _ in range(n):
        cy, cx = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        ry, rx = rng.uniform(0.02, 0.06, 2) * min(size)
        turn = rng.uniform(0, np.pi)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        inside = special.expit(8 * (1 - (u / rx) ** 2 - (v / ry) ** 2))
        image = np.maximum(image, inside * rng.uniform(0.4, 0.9) * (1 + 0.2 * texture))
    ridges = np.abs(gaussian_field(size, 12.0, rng))
    image += 0.35 * np.exp(-((ridges / 0.06) ** 2))
    image = ndimage.gaussian_filter(image + 0.05, 0.8)
    return np.clip(image, 0, 1).astype(np.float32)


def gaussian_field(
    shape: tuple[int, ...], length: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw a stationary Gaussian random field on a torus, unit variance.

    Its spectrum, `gaussian_spectrum`, is known, so the Wiener filter gives the best
    possible estimate.

    Parameters
    ----------
    shape : tuple of int
        The last two axes are y and x; others are independent fields.
    length : float
        Correlation length, pixels.
    """
    return field_with_spectrum(shape, gaussian_spectrum(shape[-2:], length), rng)


def gaussian_spectrum(shape: tuple[int, ...], length: float) -> NDArray[np.float64]:
    """Return the power of each Fourier mode of `gaussian_field`, mean 1."""
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.fftfreq(shape[1])[None]
    power = np.exp(-2 * (np.pi * length) ** 2 * (fy**2 + fx**2))
    return np.asarray(power / power.mean())


def row_spectrum(shape: tuple[int, ...], blur: float) -> NDArray[np.float64]:
    """Return the power of each mode of white noise blurred along rows, mean 1."""
    fx = np.fft.fftfreq(shape[1])
    power = np.exp(-4 * (np.pi * blur * fx) ** 2)
    return np.broadcast_to(power / power.mean(), shape).copy()


def field_with_spectrum(
    shape: tuple[int, ...], spectrum: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw a Gaussian field whose modes have the given power."""
    white = np.fft.fft2(rng.normal(size=shape))
    return np.fft.ifft2(white * np.sqrt(spectrum)).real
