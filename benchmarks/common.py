"""What the benchmarks share: images, noises, the tuned classical filters, results."""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import denoise_tv_chambolle

from napari_cosdd.datasets import simulate
from napari_cosdd.metrics import psnr

#: Folder of the images; a machine that has them elsewhere says so.
SHARED = Path(
    os.environ.get("COSDD_IMAGES", Path(__file__).parents[2] / "shared" / "data")
)
RESULTS = Path(__file__).parent / "results"
Image = NDArray[np.float32]

SETS = {
    "w2s": "clean-w2s/w2s_avg400_18x512x512_u8.tif",
    "sstem": "clean-ssTEM/isbi_ssTEM_6x512x512_u8.tif",
    "actin": "clean-bpae/BPAE_actin_512x512.tif",
}
#: Clean images that a supervised network may see for a set of a single image.
OTHERS = {
    "actin": ["clean-bpae/BPAE_mito_512x512.tif", "clean-bpae/BPAE_nuclei_512x512.tif"]
}
#: Noise, and the axis along which it is correlated.
NOISES: dict[str, tuple[Callable[..., Image], dict[str, float], str]] = {
    "stripes": (simulate.stripes, {"gain": 0.008, "gaussian": 0.04, "row": 0.05}, "x"),
    "rows": (simulate.long_range_rows, {}, "x"),
    "checkerboard": (simulate.checkerboard, {}, "y"),
}
#: Widths of the blur along each axis, pixels, of which the best for the truth counts.
WIDTHS = (0, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5)
#: What is judged: the middle of the first image.
JUDGED = (slice(128, 384), slice(128, 384))


@dataclass(frozen=True)
class Problem:
    """A set of clean images under a noise.

    Attributes
    ----------
    clean, noisy : ndarray, shape (n, y, x)
        Signal 0 to 1, and the same with noise.
    others : ndarray, shape (m, y, x)
        Clean images that are not judged, for supervision.
    axis : str
        Along which the noise is correlated.
    """

    name: str
    clean: Image
    noisy: Image
    others: Image
    axis: str
    add_noise: Callable[[Image, np.random.Generator], Image]

    def score(self, estimate: NDArray[Any]) -> float:
        """Return the PSNR in dB of an estimate of the judged part; the peak is 1."""
        return psnr(estimate, self.clean[0][JUDGED], 1.0)


def problem(data: str, noise: str, seed: int = 0) -> Problem:
    """Load a set and add noise, always the same for a seed."""
    clean = read(SETS[data])
    make, settings, axis = NOISES[noise]

    def add_noise(image: Image, rng: np.random.Generator) -> Image:
        return make(image, rng, **settings)

    others = read_others(data, clean)
    noisy = add_noise(clean, np.random.default_rng(seed))
    return Problem(f"{data}/{noise}", clean, noisy, others, axis, add_noise)


def read(file: str) -> Image:
    """Read clean images, scaled to 0..1 together."""
    path = SHARED / file
    if not path.exists():
        raise SystemExit(f"{path} is not here: the benchmarks need the shared images")
    images = tifffile.imread(path).astype(np.float32)
    images = images.reshape(-1, *images.shape[-2:])
    scaled: Image = (images - images.min()) / (images.max() - images.min())
    return scaled


def read_others(data: str, clean: Image) -> Image:
    """Return clean images of a set that are not judged, else those of another set."""
    files = OTHERS.get(data)
    return np.concatenate([read(f) for f in files]) if files else clean[1:]


def best_blur(
    noisy: NDArray[Any],
    truth: NDArray[Any],
    peak: float = 1.0,
    part: tuple[slice, slice] = (slice(None), slice(None)),
) -> tuple[float, tuple[float, float]]:
    """Return the PSNR and widths (y, x) of the Gaussian blur best for the truth.

    The noisy image is blurred whole; ``truth`` is the truth of the judged part of it.
    """
    return max(
        (psnr(ndimage.gaussian_filter(noisy, (y, x))[part], truth, peak), (y, x))
        for y in WIDTHS
        for x in WIDTHS
    )


def best_total_variation(task: Problem) -> tuple[float, float]:
    """Return the PSNR and weight of the total variation best for the truth."""
    wide = tuple(slice(s.start - 32, s.stop + 32) for s in JUDGED)
    part = task.noisy[0][wide]
    tried = []
    for weight in (0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4):
        smooth = denoise_tv_chambolle(part, weight, max_num_iter=200)
        tried.append((task.score(smooth[32:-32, 32:-32]), weight))
    return max(tried)


#: Factors on the spectrum given to BM3D, of which the best for the truth counts, and
#: context around the judged part, pixels.
BM3D_SCALES, BM3D_CONTEXT = (0.6, 0.8, 1.0, 1.3), 64


def best_bm3d(task: Problem) -> tuple[float, float]:
    """Return the PSNR and scale of BM3D with the noise's true spectrum.

    The spectrum is the mean periodogram of the noise that was added, which no user has;
    its scale is tuned with the truth. (Mäkinen, Azzari & Foi, "Collaborative filtering
    of correlated noise", IEEE Trans. Image Process. 29, 2020; package bm3d.)
    """
    wide = tuple(slice(s.start - BM3D_CONTEXT, s.stop + BM3D_CONTEXT) for s in JUDGED)
    noise = (task.noisy - task.clean)[(slice(None), *wide)].astype(np.float64)
    power = np.mean(np.abs(np.fft.fft2(noise)) ** 2, axis=0)
    inner = (slice(BM3D_CONTEXT, -BM3D_CONTEXT),) * 2
    tried = []
    for scale in BM3D_SCALES:
        found = bm3d(task.noisy[0][wide], scale * power)
        tried.append((task.score(found[inner]), scale))
    return max(tried)


def bm3d(image: NDArray[Any], sigma_or_power: Any) -> NDArray[Any]:
    """Denoise (y, x) given a standard deviation of white noise or a power spectrum."""
    if not hasattr(np, "trapz"):  # bm3d 4.0.3 uses a name that numpy 2.4 dropped
        setattr(np, "trapz", np.trapezoid)  # noqa: B010 - for mypy
    import bm3d as package

    return np.asarray(package.bm3d(image.astype(np.float64), sigma_or_power))


def machine() -> dict[str, Any]:
    """Describe where and with what this runs."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": cuda,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "napari-cosdd": version("napari-cosdd"),
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def save(name: str, results: dict[str, Any]) -> Path:
    """Write results with the machine's description; parts of before are kept.

    Each part says on what it was measured, for those of before may be another's.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    before: dict[str, Any] = {}
    if path.exists():
        before = json.loads(path.read_text())["results"]
    here = machine()
    on = "{processor}, {threads} of {cores} cores, torch {torch}, {date}".format(**here)
    on = f"{here['gpu']}, {on}" if here["gpu"] else on
    merged = before | {k: {**part, "measured_on": on} for k, part in results.items()}
    text = json.dumps({"machine": here, "results": merged}, indent=1)
    path.write_text(text + "\n")
    return path
