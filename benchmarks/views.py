"""What several views of an image bring, and whether noise has a direction."""

from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from scipy import signal

from benchmarks.common import JUDGED, SHARED, Problem, problem, save
from benchmarks.quality import CONTEXT, MANY
from napari_cosdd import api
from napari_cosdd.prediction.reversal import growth_if_reversed
from napari_cosdd.training.recipe import Recipe

PROBLEMS = ("w2s/stripes", "w2s/rows", "sstem/stripes", "sstem/checkerboard")
#: Real images with noise along an axis, and their axes.
REAL = {
    "nuclei": ("scanr-neubias/nuclei_1024x1344.tif", "YX"),
    "two-photon": ("twophoton-prairie/cycle002_53x260x348.tif", "TYX"),
    "STEM": ("stem-haadf/multi_signal_HAADF_512x512.tif", "YX"),
    "confocal": ("vesicles-3d/cell_3d_vesicles_33x160x250.tif", "TYX"),
}
#: Signal of a photon, and what is left of its light a pixel later.
SLOW = {"slow, few photons": (0.1, 0.6), "slower, more photons": (0.02, 0.8)}


def run(console: Console) -> None:
    """Train on each as long as the preset says, print and save."""
    for name in (*PROBLEMS, *SLOW, *REAL):
        result = _real(*REAL[name]) if name in REAL else _simulated(_problem(name))
        console.print(f"{name}: {result}", highlight=False)
        save("views", {name: result})


def _problem(name: str) -> Problem:
    """Return a problem, or W2S behind a detector where photons leave an afterglow."""
    if name not in SLOW:
        data, noise = name.split("/")
        return problem(data, noise)
    gain, left = SLOW[name]
    task, rng = problem("w2s", "stripes"), np.random.default_rng(0)
    shot = gain * rng.poisson(task.clean / gain) - task.clean
    rows = np.sqrt(1 - left**2) * signal.lfilter([1], [1, -left], shot, axis=-1)
    noisy = task.clean + rows + rng.normal(0, 0.02, task.clean.shape)
    return replace(task, name=name, noisy=noisy.astype(np.float32))


def _simulated(task: Problem) -> dict[str, Any]:
    """Score means of one view, of shifts and allowed flips, and of all flips."""
    model, grown = _trained(api.Image(task.noisy, "SYX"))
    wide = tuple(slice(s.start - CONTEXT, s.stop + CONTEXT) for s in JUDGED)
    inner = (slice(CONTEXT, -CONTEXT),) * 2

    def psnr(reversible: bool, views: bool) -> float:
        drawn_from = replace(model, reversible=reversible)
        settings: dict[str, Any] = {"n_samples": MANY, "views": views, "device": "cpu"}
        image = api.Image(task.noisy[0][wide], "YX")
        result = api.denoise(image, drawn_from, **settings)
        return round(task.score(result.mean[inner]), 2)

    return grown | {
        "one_view": psnr(False, False),
        "flips_across": psnr(False, True),
        "flips_along_too": psnr(True, True),
    }


def _real(path: str, axes: str) -> dict[str, Any]:
    return _trained(api.one_image(SHARED / path, axes))[1]


def _trained(image: api.Image) -> tuple[Any, dict[str, Any]]:
    """Return a model, and by how much reversed images are less likely."""
    job = api.prepare_run([image], Recipe.preset())
    last: Any = list(job.run())[-1]
    grown = growth_if_reversed(last.result, job.crops)
    assert grown is not None
    return last.result, {
        "growth": round(grown, 4),
        "reversible": last.result.reversible,
    }
