"""A simulated calcium movie: brightness from frame to frame, and amplitudes.

Neurons flash over a structured background; the noise is that of a scanning two-photon
microscope: photons, and an offset of each line.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy import ndimage

from benchmarks.common import save
from napari_cosdd import api
from napari_cosdd.training.recipe import Recipe

#: Number of frames and of neurons, side of a frame in pixels, frames in a decay time.
FRAMES, NEURONS, SIDE, DECAY = 120, 40, 256, 8.0
#: Grey levels of a photon, and deviation of the offset of a line, grey levels.
GAIN, LINE = 20.0, 15.0
#: Side of a tile of the seamed prediction, pixels.
TILE = 64


def run(console: Console, minutes: float, seed: int) -> None:
    """Train on the movie, denoise it, print and save what happened to brightness."""
    rng = np.random.default_rng(seed)
    masks, traces, clean = calcium_movie(rng, FRAMES)
    noisy = with_noise(clean, rng)
    recipe = Recipe.preset().changed(training={"seed": seed})
    if minutes:
        recipe = recipe.changed(
            training={"time_limit": minutes, "max_steps": 10**7, "device": "cpu"}
        )
    job = api.prepare_run([api.Image(noisy, "TYX")], recipe)
    last: Any = list(job.run())[-1]
    settings: dict[str, Any] = {"axes": "TYX", "n_samples": 16, "device": "cpu"}
    whole = api.denoise(noisy, last.result, tile_size=SIDE, **settings).mean
    tiled = api.denoise(noisy, last.result, tile_size=TILE, **settings).mean
    found = {
        "steps": last.step,
        **amplitudes(masks, traces, whole),
        **brightness(clean, whole),
        "raw": brightness(clean, noisy) | amplitudes(masks, traces, noisy),
        **seams(clean, tiled),
    }
    console.print(found, highlight=False)
    save("movie", {f"seed{seed}" + (f"/{minutes:g} min" if minutes else ""): found})


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
    noisy = GAIN * rng.poisson(clean / GAIN) + lines + 100
    return np.asarray(noisy, np.float32)


def amplitudes(
    masks: NDArray[Any], traces: NDArray[Any], movie: NDArray[Any]
) -> dict[str, Any]:
    """Return the slope of measured on true traces; 1 is a movie true to amplitude."""
    slopes = []
    for i, (mask, trace) in enumerate(zip(masks, traces, strict=True)):
        inside = mask > 0.9
        others = np.delete(masks, i, 0).sum(0)
        if others[inside].max() > 0.02 or trace.std() < 20:
            continue  # neighbours overlap, or it never flashed
        measured = movie[:, inside].mean(1)
        slopes.append(np.polyfit(trace * mask[inside].mean(), measured, 1)[0])
    return {
        "neurons": len(slopes),
        "amplitude": round(float(np.mean(slopes)), 4),
        "amplitude_spread": round(float(np.std(slopes)), 4),
    }


def brightness(clean: NDArray[Any], movie: NDArray[Any]) -> dict[str, Any]:
    """Return how the mean of a frame differs from the truth, relative to it."""
    truth = clean.mean((1, 2)) + 100
    error = movie.mean((1, 2)) / truth - 1
    steps = np.abs(np.diff(error))
    return {
        "brightness_offset": round(float(error.mean()), 5),
        "brightness_jump_largest": round(float(steps.max()), 5),
    }


def seams(clean: NDArray[Any], tiled: NDArray[Any]) -> dict[str, Any]:
    """Return steps at the borders of tiles against those elsewhere, grey levels."""
    error = tiled - clean
    steps = np.abs(np.diff(error, axis=2)).mean((0, 1))
    at_seams = np.arange(TILE - 1, steps.size, TILE)
    elsewhere = np.delete(steps, at_seams)
    return {
        "step_at_seams": round(float(steps[at_seams].mean()), 3),
        "step_elsewhere": round(float(elsewhere.mean()), 3),
    }
