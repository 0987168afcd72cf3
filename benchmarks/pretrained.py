"""Is the pretrained start honest? Trainings from it and from random weights, compared.

A network that was trained on phantoms might put their structures into images. So: an
image of noise alone must become flat; a STEM image, unlike the phantoms, must become
what a training from random weights makes of it; and on repeats of a static scene the
start must bring the mean nearer to the truth, not only look better.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from rich.console import Console
from scipy import ndimage

from benchmarks.common import NOISES, SETS, SHARED, problem, save
from benchmarks.quality import final_scores
from benchmarks.real import REPEATS
from napari_cosdd import api
from napari_cosdd.datasets.simulate import stripes
from napari_cosdd.metrics import affine_fit, psnr
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.training.recipe import Recipe

STEM = "stem-haadf/multi_signal_HAADF_512x512.tif"
#: Finer than this is detail, pixels.
DETAIL = 3.0


def run(console: Console, minutes: float, what: list[str]) -> None:
    """Train on each from both starts, print and save the comparison."""
    cases: dict[str, Callable[[float], dict[str, Any]]] = {
        "untrained": _untrained,
        "flat": _flat,
        "stem": _stem,
        "twophoton": _twophoton,
    }
    for name in what:
        result = cases[name](minutes) | {"minutes": minutes}
        console.print(name, result)
        save("pretrained", {name: result})


def _both(image: api.Image, minutes: float) -> dict[str, Any]:
    """Return what each start makes of an image: its first frame, denoised."""
    made = {}
    for start, pretrained in (("pretrained", True), ("random", False)):
        recipe = Recipe.preset().changed(
            training={
                "time_limit": minutes,
                "max_steps": 10**7,
                "pretrained": pretrained,
            }
        )
        job = api.prepare_run([image], recipe)
        last: Any = list(job.run())[-1]
        frame = np.asarray(image.data)
        frame = frame if frame.ndim == 2 else frame[0]
        made[start] = api.denoise(frame, last.result, axes="YX", n_samples=100)
    return made


def _untrained(minutes: float) -> dict[str, Any]:
    """Score the network as it comes, without any training."""
    scores = {}
    for data, noise in product(SETS, NOISES):
        task = problem(data, noise)
        recipe = Recipe.preset().changed(training={"device": "cpu"})
        job = api.prepare_run([api.Image(task.noisy, "SYX")], recipe)
        model = TrainedModel("cosdd", job.build().eval(), job.recipe.training)
        scores[task.name] = final_scores(task, model)["psnr"]
    return scores


def _flat(minutes: float) -> dict[str, Any]:
    """Denoise noise alone; say how much structure is left, in units of the noise."""
    clean = np.full((512, 512), 0.3, np.float32)
    noisy = stripes(clean, np.random.default_rng(0), gaussian=0.04, row=0.05)
    made = _both(api.Image(noisy, "YX"), minutes)
    noise = float((noisy - clean).std())
    return {
        f"structure, {start}": round(float(result.mean.std()) / noise, 4)
        for start, result in made.items()
    }


def _stem(minutes: float) -> dict[str, Any]:
    """Compare the details that the two starts find in a STEM image."""
    image = tifffile.imread(SHARED / STEM)
    made = _both(api.Image(image, "YX"), minutes)
    one, other = (_detail(result.mean) for result in made.values())
    correlation = np.corrcoef(one, other)[0, 1]
    deviation = np.median(made["random"].deviation)
    difference = made["pretrained"].mean - made["random"].mean
    noise = image.astype(float) - made["random"].mean
    return {
        "correlation of details": round(float(correlation), 3),
        "difference in deviations": round(float(difference.std() / deviation), 2),
        "difference in noise": round(float(difference.std() / noise.std()), 3),
    }


def _detail(image: NDArray[Any]) -> NDArray[np.float64]:
    values = image.astype(np.float64)
    return (values - ndimage.gaussian_filter(values, DETAIL)).ravel()


def _twophoton(minutes: float) -> dict[str, Any]:
    """Score both against the mean of the other frames."""
    frames = tifffile.imread(SHARED / REPEATS["twophoton"]).astype(np.float32)
    truth = frames[1:].mean(0)
    made = _both(api.Image(frames, "TYX"), minutes)
    peak = float(np.ptp(truth))
    return {"noisy": round(psnr(frames[0], truth, peak), 2)} | {
        start: round(psnr(affine_fit(result.mean, truth), truth, peak), 2)
        for start, result in made.items()
    }
