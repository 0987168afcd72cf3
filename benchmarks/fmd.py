"""Published images with repeats: PSNR as published, by axis, against others.

Zhang et al., "A Poisson-Gaussian denoising dataset with real fluorescence microscopy
images", CVPR 2019: the truth is the mean of 50 frames, the peak 255.
"""

import time
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.common import SHARED, best_blur, bm3d, save
from napari_cosdd import api
from napari_cosdd.metrics import psnr
from napari_cosdd.training.recipe import Recipe

KINDS = (
    "Confocal_BPAE_B",
    "Confocal_FISH",
    "Confocal_MICE",
    "TwoPhoton_BPAE_G",
    "TwoPhoton_MICE",
    "WideField_BPAE_R",
)
METHODS = ("blur", "bm3d", "auto", "x", "none", "grid", "n2v", "n2v square")
PEAK = 255.0
N_SAMPLES = 50
#: Half-length of the square masks, pixels: the best of 1, 2, 4 and 6 on wide-field.
SQUARE = 2
Frames = NDArray[np.float32]


def run(
    console: Console, kinds: list[str], methods: list[str], minutes: float, seed: int
) -> None:
    """Score each method on each kind; print and save after each."""
    for kind in kinds:
        frames, truth = read_frames(kind)
        noisy = float(np.mean([psnr(f, truth, PEAK) for f in frames]))
        for method in methods:
            began = time.monotonic()
            scores = _score(method, frames, truth, minutes, seed)
            scores |= {"noisy": round(noisy, 2)}
            scores["seconds"] = round(time.monotonic() - began)
            console.print(f"{kind}/{method}: {scores}", highlight=False)
            key = f"{kind}/{method}" + (f"/{minutes:g} min" if minutes else "")
            save("fmd", {key + (f"/seed{seed}" if seed else ""): scores})


def read_frames(kind: str) -> tuple[Frames, Frames]:
    """Return four frames of a kind (4, y, x), and their truth (y, x)."""
    path = SHARED / "fmd" / f"{kind}_raw_mean50_2x4x512x512_u8.tif"
    if not path.exists():
        raise SystemExit(f"{path} is not here: the benchmark needs it")
    frames, truth = tifffile.imread(path).astype(np.float32)
    return frames, truth[0]


def _score(
    method: str, frames: Frames, truth: Frames, minutes: float, seed: int
) -> dict[str, Any]:
    """Return the mean PSNR over the frames, and what the method chose."""
    if method == "blur":
        best = [best_blur(frame, truth, PEAK) for frame in frames]
        return _mean([p for p, _ in best]) | {"widths_yx": [w for _, w in best]}
    if method == "bm3d":
        return _bm3d(frames, truth)
    training: dict[str, Any] = {"seed": seed, "device": "cpu"}
    settings: dict[str, Any] = {"noise_axis": method}
    name = "cosdd"
    if method == "grid":
        settings["noise_axis"] = "none"
        training["grid"] = api.analyze(frames, axes="SYX").facts.grid
    elif method.startswith("n2v"):
        name, settings = "n2v", {"noise_axis": "none"}
        if method.endswith("square"):
            settings |= {"mask_shape": "square", "receptive_field": SQUARE}
    if minutes:
        training |= {"time_limit": minutes, "max_steps": 10**7}
    recipe = Recipe.preset(name).changed(settings, training)
    job = api.prepare_run([api.Image(frames, "SYX")], recipe)
    last: Any = list(job.run())[-1]
    result = api.denoise(frames, last.result, axes="SYX", n_samples=N_SAMPLES)
    grid = last.result.spec.grid or 1
    axis = getattr(last.result.method.config, "noise_axis", "none")
    found = _mean([psnr(f, truth, PEAK) for f in result.mean])
    return found | {"steps": last.step, "axis": axis, "grid": grid}


def _mean(scores: list[float]) -> dict[str, Any]:
    return {"psnr": round(float(np.mean(scores)), 2)}


def _bm3d(frames: Frames, truth: Frames) -> dict[str, Any]:
    """Score BM3D after Anscombe's transform, as the authors of the images did.

    Gain and offset of the variance are measured with the truth, which no user has; the
    deviation of the transformed noise is 1 by design, or measured with the truth.
    """
    plain: list[float] = []
    tuned: list[float] = []
    for frame in frames:
        gain, offset = np.polyfit(truth.ravel(), ((frame - truth) ** 2).ravel(), 1)
        flat = _anscombe(frame, gain, offset)
        deviation = float((flat - _anscombe(truth, gain, offset)).std())
        for scores, sigma in ((plain, 1.0), (tuned, deviation)):
            found = bm3d(flat, sigma)
            scores.append(psnr(_inverse(found, gain, offset), truth, PEAK))
    best = {"true_sigma": round(float(np.mean(tuned)), 2)}
    return _mean(plain) | best


def _anscombe(image: Frames, gain: float, offset: float) -> NDArray[Any]:
    """Return the image with noise of deviation 1 (generalized Anscombe transform)."""
    inside = gain * image.astype(np.float64) + 0.375 * gain**2 + offset
    return np.asarray(2 / gain * np.sqrt(np.maximum(inside, 0)))


def _inverse(flat: NDArray[Any], gain: float, offset: float) -> NDArray[Any]:
    """Return the asymptotically unbiased inverse of the transform."""
    return np.asarray(gain * (flat / 2) ** 2 - gain / 8 - offset / gain)
