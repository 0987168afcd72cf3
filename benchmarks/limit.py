"""The Bayes limit: Gaussian field plus Gaussian row noise, whose posterior is known.

The posterior mean is the Wiener filter; its variance per pixel is
the mean over Fourier modes of S N / (S + N). No estimator has a smaller error.
"""

from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.common import save
from napari_cosdd import api
from napari_cosdd.datasets import simulate
from napari_cosdd.metrics import coverage
from napari_cosdd.training.recipe import Recipe

SIZE, IMAGES, TEST = 256, 24, 4
#: Correlation length of the signal, and blur of the row noise, pixels.
LENGTH, BLUR = 3.0, 1.0
#: Standard deviations of the white and of the row part; the signal has 1.
WHITE, ROW = 0.4, 0.4
#: Samples kept of each image for the coverage: they give 50, 80 and 95 % exactly.
KEPT = 39
EDGE = 32


def run(console: Console, minutes: float, seed: int) -> None:
    """Train on the fields, compare mean and deviation with the known posterior."""
    rng = np.random.default_rng(seed)
    shape = (SIZE, SIZE)
    signal_power = simulate.gaussian_spectrum(shape, LENGTH)
    noise_power = WHITE**2 + ROW**2 * simulate.row_spectrum(shape, BLUR)
    clean = simulate.field_with_spectrum((IMAGES + TEST, *shape), signal_power, rng)
    noise = simulate.field_with_spectrum((IMAGES + TEST, *shape), noise_power, rng)
    noisy = (clean + noise).astype(np.float32)
    recipe = Recipe.preset().changed(
        training={"time_limit": minutes, "max_steps": 10**7, "seed": seed}
    )
    job = api.prepare_run([api.Image(noisy[:IMAGES], "SYX")], recipe)
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
    console.print(scores)
    save("limit", {f"{minutes:g} min" + (f", seed {seed}" if seed else ""): scores})


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

    return {
        "noise_db": round(-10 * np.log10(error(noisy)), 2),
        "limit_db": round(-10 * np.log10(error(wiener)), 2),
        "expected_limit_db": round(-20 * np.log10(deviation), 2),
        "cosdd_db": round(-10 * np.log10(error(result.mean)), 2),
        "gap_db": round(10 * np.log10(error(result.mean) / error(wiener)), 2),
        "posterior_deviation": round(deviation, 4),
        "sampled_deviation": round(float(result.deviation[inner].mean()), 4),
        "coverage": {
            f"{p:.0%}": round(
                coverage(result.samples[(slice(None), *inner)], clean[inner]).at(p), 3
            )
            for p in (0.5, 0.8, 0.95)
        },
        "ratio": round(float(result.deviation[inner].mean()) / deviation, 3),
    }
