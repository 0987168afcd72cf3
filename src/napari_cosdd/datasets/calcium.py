"""A simulated calcium movie, as a scanning two-photon microscope records it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Number of neurons.
NEURONS = 40
#: Side of a frame, pixels.
SIDE = 256
#: Decay time of a transient, frames.
DECAY = 8.0
#: Grey levels of a photon.
GAIN = 20.0
#: Deviation of the offset of a line, grey levels.
LINE = 15.0
#: Offset of the camera, grey levels.
OFFSET = 100.0


def calcium_movie(
    rng: np.random.Generator, n_frames: int, side: int = SIDE, n_neurons: int = NEURONS
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return masks (n, y, x), their traces (n, t) and the clean movie (t, y, x)."""
    y, x = np.mgrid[:side, :side]
    masks = []
    for _ in range(n_neurons):
        cy, cx = rng.uniform(8, side - 8, 2)
        radius = rng.uniform(3.5, 6)
        masks.append(1 / (1 + np.exp(2 * (np.hypot(y - cy, x - cx) - radius))))
    spikes = rng.random((n_neurons, n_frames)) < 0.03
    kernel = np.exp(-np.arange(n_frames) / DECAY)
    traces = np.array([np.convolve(s, kernel)[:n_frames] for s in spikes])
    traces *= rng.uniform(200, 800, (n_neurons, 1))
    field = ndimage.gaussian_filter(rng.normal(size=(side, side)), 6)
    background = 200 + 60 * field / field.std()
    still = np.clip(background, 60, None) + 80 * np.sum(masks, 0)
    clean = still + np.einsum("nt,nyx->tyx", traces, masks)
    return np.array(masks), traces, clean.astype(np.float32)


def with_noise(clean: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return the movie with photon noise and an offset of each line of each frame."""
    lines = LINE * rng.normal(size=(*clean.shape[:2], 1))
    noisy = GAIN * rng.poisson(clean / GAIN) + lines + OFFSET
    return np.asarray(noisy, np.float32)
