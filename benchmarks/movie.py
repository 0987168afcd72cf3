"""A simulated calcium movie: brightness from frame to frame, and amplitudes.

Neurons flash over a structured background; the noise is that of a scanning two-photon
microscope: photons, and an offset of each line.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.common import save
from napari_cosdd import api
from napari_cosdd.datasets.calcium import OFFSET, SIDE, calcium_movie, with_noise
from napari_cosdd.metrics import psnr
from napari_cosdd.training.recipe import Recipe

#: Number of frames.
FRAMES = 120
#: Deviations of the blur over which brightness is kept, pixels.
SIGMAS = (3, 4)
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
    kept = {
        f"kept over {sigma} px": api.denoise(
            noisy, last.result, tile_size=SIDE, keep_brightness=sigma, **settings
        ).mean
        for sigma in SIGMAS
    }
    tiled = api.denoise(noisy, last.result, tile_size=TILE, **settings).mean
    peak = float(np.ptp(clean))
    found = {
        "steps": last.step,
        **amplitudes(masks, traces, whole),
        **brightness(clean, whole),
        "psnr": round(psnr(whole, clean + OFFSET, peak), 2),
        **{
            name: amplitudes(masks, traces, mean)
            | brightness(clean, mean)
            | {"psnr": round(psnr(mean, clean + OFFSET, peak), 2)}
            for name, mean in kept.items()
        },
        "raw": brightness(clean, noisy) | amplitudes(masks, traces, noisy),
        **seams(clean, tiled),
    }
    console.print(found, highlight=False)
    save("movie", {f"seed{seed}" + (f"/{minutes:g} min" if minutes else ""): found})


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
