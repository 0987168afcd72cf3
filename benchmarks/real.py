"""Real images: PSNR against the mean of other frames, and the nuclei's residual."""

from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.common import RESULTS, SHARED, best_blur, save
from napari_cosdd import api
from napari_cosdd.cli import _pictures
from napari_cosdd.datasets.samples import nuclei
from napari_cosdd.metrics import affine_fit, psnr
from napari_cosdd.noise_analysis.autocorrelation import autocorrelation
from napari_cosdd.training.recipe import Recipe

REPEATS = {
    "twophoton": "twophoton-prairie/cycle002_53x260x348.tif",
    "tirf": "scmos-acsn/TIRF_200Hz_20x256x256.tif",
}


def run(console: Console, minutes: float, what: list[str]) -> None:
    """Train on each, print and save the scores."""
    for name in what:
        scores = _nuclei(minutes) if name == "nuclei" else _repeats(name, minutes)
        console.print(f"{name}: {scores}", highlight=False)
        save("real", {f"{name}/{minutes:g} min": scores | {"minutes": minutes}})


def _train(image: api.Image, minutes: float) -> Any:
    recipe = Recipe.preset().changed(
        training={"time_limit": minutes, "max_steps": 10**7}
    )
    job = api.prepare_run([image], recipe)
    last: Any = list(job.run())[-1]
    return job, last


def _repeats(name: str, minutes: float) -> dict[str, Any]:
    """Train on all frames; score frame 0 against the mean of the others."""
    path = SHARED / REPEATS[name]
    frames = np.asarray(api.one_image(path, "TYX").data).astype(np.float32)
    truth = frames[1:].mean(0)
    peak = float(np.ptp(truth))
    job, last = _train(api.Image(frames, "TYX"), minutes)
    result = api.denoise(frames[0], last.result, axes="YX", n_samples=100, n_kept=2)
    blur = best_blur(frames[0], truth, peak)
    _picture(name, frames[0], result, job)
    return {
        "steps": last.step,
        "noisy_db": round(psnr(frames[0], truth, peak), 2),
        "blur_db": round(blur[0], 2),
        "blur_yx": blur[1],
        "cosdd_db": round(psnr(result.mean, truth, peak), 2),
        "cosdd_affine_db": round(psnr(affine_fit(result.mean, truth), truth, peak), 2),
        "single_db": round(psnr(result.samples[0], truth, peak), 2),
        "advice": job.noise.facts.sentence,
    }


def _nuclei(minutes: float) -> dict[str, Any]:
    """Compare the residual's autocorrelation with that of the raw noise."""
    image = nuclei()
    job, last = _train(image, minutes)
    result = api.denoise(image, last.result, n_samples=40, n_kept=2)
    noisy = np.asarray(image.data).astype(np.float64)
    residual = autocorrelation([noisy - result.mean])
    raw = job.noise.correlation
    _picture("nuclei", noisy, result, job)
    return {
        "steps": last.step,
        "raw_row": np.round(raw.along_x[1:4], 3).tolist(),
        "raw_column": np.round(raw.along_y[1:4], 3).tolist(),
        "residual_row": np.round(residual.along_x[1:4], 3).tolist(),
        "residual_column": np.round(residual.along_y[1:4], 3).tolist(),
    }


def _picture(name: str, noisy: Any, result: Any, job: Any) -> None:
    _pictures.write_overview(
        RESULTS / f"{name}.png",
        noisy,
        result.mean,
        result.deviation,
        result.samples,
        job.noise.correlation,
    )
