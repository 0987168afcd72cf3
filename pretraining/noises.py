"""Simulated noise along rows, of many strengths and correlations."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from napari_cosdd.datasets.simulate import ar1

Image = NDArray[np.float32]


def add_noise(clean: Image, rng: np.random.Generator) -> Image:
    """Return a clean image, 0 to 1, with noise of a kind drawn at random.

    White noise, noise that grows or falls with the signal, and noise that is
    correlated along rows, each with a strength of its own; all three or fewer.
    """
    noisy = clean.astype(np.float64)
    strength = 10 ** rng.uniform(-1.7, -0.6)  # deviation of all, of a range of 1
    shares = rng.dirichlet((0.7, 0.7, 1.0))
    white, shot, row = strength * np.sqrt(shares)
    noisy = noisy + white * rng.normal(size=clean.shape)
    if rng.random() < 0.85:
        gain = max(1e-5, shot**2 / max(0.05, float(clean.mean())))
        noisy = noisy + gain * rng.poisson(clean / gain) - clean
    else:
        noisy = noisy + shot * rng.normal(size=clean.shape) / (1 + 4 * clean)
    if rng.random() < 0.85:
        noisy = noisy + row * along_rows(clean.shape, rng)
    return noisy.astype(np.float32)


def along_rows(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw noise of unit variance that is correlated along the last axis only."""
    kind = rng.integers(5)
    if kind == 0:  # the point spread of a line scan
        made = ndimage.gaussian_filter1d(
            rng.normal(size=shape), rng.uniform(0.4, 3), axis=-1
        )
    elif kind == 1:  # a slow detector
        made = ar1(shape, rng.uniform(0.3, 0.98), rng)
    elif kind == 2:  # sharpened by a camera: negative at lag 1
        made = signal.lfilter([1, -rng.uniform(0.1, 0.7)], [1], rng.normal(size=shape))
    elif kind == 3:  # a pickup of the mains: of one period, its phase anew each row
        period = rng.uniform(2.5, 30)
        phase = rng.uniform(0, 2 * np.pi, (*shape[:-1], 1))
        made = np.sin(2 * np.pi * np.arange(shape[-1]) / period + phase)
        if rng.random() < 0.5:
            made = np.sign(made)
    else:  # an offset of each row, on white noise
        made = rng.normal(size=(*shape[:-1], 1)) + rng.normal(size=shape)
    return made / made.std()
