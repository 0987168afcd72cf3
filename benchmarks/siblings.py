"""The sibling methods on independent noise, for which all of them are made.

Poisson and Gaussian noise over the W2S images. Supervised methods learn from the other
images, never from the judged one; noise models are measured on these, too.
"""

from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.common import JUDGED, Problem, best_blur, read, save
from benchmarks.common import SETS as IMAGES
from napari_cosdd import api
from napari_cosdd.datasets.simulate import stripes
from napari_cosdd.methods.values import NO_ASSETS
from napari_cosdd.noise_models.calibrate import calibrate_pairs

#: Signal of one photon, and deviation of the Gaussian noise, of images 0 to 1.
NOISE = {"gain": 0.02, "gaussian": 0.05, "row": 0.0}
#: Method, preset and kind of noise model, by the name shown.
METHODS: dict[str, tuple[str, str, str | None]] = {
    "cosdd": ("cosdd", "quick", None),
    "n2v": ("n2v", "point", None),
    "hdn, histogram": ("hdn", "quick", "histogram"),
    "hdn, mixture": ("hdn", "quick", "mixture"),
    "pn2v, histogram": ("pn2v", "quick", "histogram"),
    "pn2v, mixture": ("pn2v", "quick", "mixture"),
    "pn2v, poisson_gauss": ("pn2v", "quick", "poisson_gauss"),
    "deconoising": ("deconoising", "quick", None),
    "n2n": ("n2n", "quick", None),
    "care": ("care", "quick", None),
}
#: Pixels around the judged part that are denoised with it.
CONTEXT = 64


def run(console: Console, minutes: float, methods: list[str], seed: int) -> None:
    """Train and score each method; save the results after each."""
    clean = read(IMAGES["w2s"])
    rng = np.random.default_rng(0)
    noisy, again = (stripes(clean, rng, **NOISE) for _ in range(2))
    task = Problem("w2s/independent", clean, noisy, clean[1:], "none", stripes)
    blur, widths = best_blur(task)
    filters = {"noisy": task.score(noisy[0][JUDGED]), "blur": blur, "blur_yx": widths}
    console.print(filters)
    save("siblings", {f"{task.name}/filters": filters})
    for name in methods:
        result = _train_and_score(task, again, name, minutes, seed)
        console.print(name, result)
        save("siblings", {f"{task.name}/{name}": result})


def _train_and_score(
    task: Problem, again: Any, name: str, minutes: float, seed: int
) -> dict[str, Any]:
    method, preset, kind = METHODS[name]
    settings = {"noise_axis": "none"} if method == "cosdd" else {}
    training = {"seed": seed, "device": "cpu", "time_limit": minutes}
    recipe = api.Recipe.preset(method, preset).changed(settings, training)
    assets, targets, images = NO_ASSETS, None, task.noisy
    if kind is not None:
        assets = api.Assets(calibrate_pairs(task.clean[1:], task.noisy[1:], kind))
    if method == "care":
        images, targets = task.noisy[1:], task.clean[1:]
    if method == "n2n":
        images, targets = task.noisy[1:], again[1:]
    job = api.prepare_run(
        [api.Image(images, "SYX")],
        recipe,
        targets=[] if targets is None else [api.Image(targets, "SYX")],
        assets=assets,
    )
    last: Any = list(job.run())[-1]
    wide = tuple(slice(s.start - CONTEXT, s.stop + CONTEXT) for s in JUDGED)
    made = api.denoise(
        task.noisy[0][wide], last.result, axes="YX", n_samples=100, device="cpu"
    )
    inner = (slice(CONTEXT, -CONTEXT),) * 2
    return {
        "psnr": round(task.score(made.mean[inner]), 2),
        "steps": last.step,
        "minutes": minutes,
    }
