"""DecoNoising with a point spread function that is too narrow, right, or too wide.

The experiment of figure 5 of the paper: a sharp image is blurred with a known Gaussian,
gets independent noise, and is learned from with other widths. Noise2Void is the same
without a blur.
"""

from typing import Any

import numpy as np
from rich.console import Console
from scipy import ndimage

from benchmarks.common import JUDGED, SETS, read, save
from benchmarks.papers_tasks import WEAK
from napari_cosdd import api
from napari_cosdd.datasets.simulate import stripes
from napari_cosdd.metrics import psnr

#: Width of the blur that makes the image, and the widths that are assumed, pixels.
TRUE = 1.5
ASSUMED = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5)


def run(console: Console, minutes: float, data: str, seed: int) -> None:
    """Train at each width, score against the image before the noise; save."""
    rng = np.random.default_rng(seed)
    sharp = read(SETS[data])
    clean = ndimage.gaussian_filter(sharp, (0, TRUE, TRUE))
    noisy = stripes(clean, rng, **WEAK)
    training = {"max_steps": 10**7, "time_limit": minutes, "seed": seed}
    results: dict[str, Any] = {}
    for width in (None, *ASSUMED):
        name, preset = ("n2v", "point") if width is None else ("deconoising", "quick")
        settings = {} if width is None else {"psf": width}
        recipe = api.Recipe.preset(name, preset).changed(settings, training)
        job = api.prepare_run([api.Image(noisy, "SYX")], recipe)
        last: Any = list(job.run())[-1]
        made = api.denoise(noisy[0], last.result, axes="YX", device="cpu")
        quality = round(psnr(made.mean[JUDGED], clean[0][JUDGED], 1.0), 2)
        label = "n2v" if width is None else f"{width:g} px"
        results[f"{data}/{label}"] = {
            "psnr": quality,
            "steps": last.step,
            "minutes": minutes,
        }
        console.print(label, quality, last.step)
        save("psf", results)
