"""The Bayes limit: Gaussian field plus Gaussian noise, whose posterior is known.

The posterior mean is the Wiener filter; its variance per pixel is
the mean over Fourier modes of S N / (S + N). No estimator has a smaller error.
"""

from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.common import save
from napari_cosdd import api
from napari_cosdd.datasets import simulate
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import NO_ASSETS
from napari_cosdd.metrics import coverage
from napari_cosdd.noise_models.calibrate import calibrate_pairs
from napari_cosdd.training.recipe import Recipe

SIZE, IMAGES, TEST = 256, 24, 4
#: Correlation length of the signal, and blur of the row noise, pixels.
LENGTH, BLUR = 3.0, 1.0
#: Standard deviations of the white and of the row part; the signal has 1.
WHITE, ROW = 0.4, 0.4
#: Samples kept of each image for the coverage: they give 50, 80 and 95 % exactly.
KEPT = 39
SHARES = (0.5, 0.8, 0.95)
EDGE = 32


def run(
    console: Console, minutes: float, seed: int, method: str = "cosdd", row: float = ROW
) -> None:
    """Train on the fields, compare mean and deviation with the known posterior.

    The deviation of the whole noise is the same whatever share of it is `row`.
    """
    rng = np.random.default_rng(seed)
    shape = (SIZE, SIZE)
    white = np.sqrt(WHITE**2 + ROW**2 - row**2)
    signal_power = simulate.gaussian_spectrum(shape, LENGTH)
    noise_power = white**2 + row**2 * simulate.row_spectrum(shape, BLUR)
    clean = simulate.field_with_spectrum((IMAGES + TEST, *shape), signal_power, rng)
    noise = simulate.field_with_spectrum((IMAGES + TEST, *shape), noise_power, rng)
    noisy = (clean + noise).astype(np.float32)
    recipe = Recipe.preset(method).changed(
        training={"time_limit": minutes, "max_steps": 10**7, "seed": seed}
    )
    assets = NO_ASSETS
    if get_method(method).needs.noise_models:
        assets = api.Assets(calibrate_pairs(clean[:IMAGES], noisy[:IMAGES], "mixture"))
    images = [api.Image(noisy[:IMAGES], "SYX")]
    job = api.prepare_run(images, recipe, assets=assets)
    last: Any = list(job.run())[-1]
    result = api.denoise(
        noisy[IMAGES:],
        last.result,
        axes="SYX",
        n_samples=2 * KEPT,
        n_kept=KEPT,
        device="cpu",
    )
    scores = compare(
        clean[IMAGES:], noisy[IMAGES:], result, signal_power, noise_power
    ) | {"minutes": minutes, "steps": last.step}
    console.print(method, scores)
    key = f"{minutes:g} min" + (f", seed {seed}" if seed else "")
    key += f", {method}" if method != "cosdd" else ""
    key += f", row {row:g}" if row != ROW else ""
    save("limit", {key: scores})


def compare(
    clean: Any, noisy: Any, result: Any, signal_power: Any, noise_power: Any
) -> dict[str, Any]:
    """Score against the Wiener filter, away from the edges of the torus."""
    gain = signal_power / (signal_power + noise_power)
    wiener = np.fft.ifft2(np.fft.fft2(noisy) * gain).real
    deviation = float(np.sqrt((gain * noise_power).mean()))
    inner = (slice(None), slice(EDGE, -EDGE), slice(EDGE, -EDGE))

    def error(estimate: Any) -> float:
        return float(((estimate - clean)[inner] ** 2).mean())

    scores = {
        "noise_db": round(-10 * np.log10(error(noisy)), 2),
        "limit_db": round(-10 * np.log10(error(wiener)), 2),
        "expected_limit_db": round(-20 * np.log10(deviation), 2),
        "estimate_db": round(-10 * np.log10(error(result.mean)), 2),
        "gap_db": round(10 * np.log10(error(result.mean) / error(wiener)), 2),
        "posterior_deviation": round(deviation, 4),
        "sampled_deviation": round(float(result.deviation[inner].mean()), 4),
        "ratio": round(float(result.deviation[inner].mean()) / deviation, 3),
    }
    if len(result.samples):
        samples = result.samples[(slice(None), *inner)]
        found = coverage(samples, clean[inner])
        scores["coverage"] = {f"{p:.0%}": round(found.at(p), 3) for p in SHARES}
    return scores
