"""The advice on the noise: right, open or wrong, on simulated and on real images."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from rich.console import Console
from scipy import ndimage

from benchmarks.common import RESULTS, SHARED, Image, save
from napari_cosdd.datasets.simulate import ar1
from napari_cosdd.images.stack import Stack
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.prediction.analysis import noise_report

#: Clean images, by file and plane.
CLEAN = {
    "ssTEM": ("clean-ssTEM/isbi_ssTEM_6x512x512_u8.tif", 0),
    "W2S": ("clean-w2s/w2s_avg400_18x512x512_u8.tif", 0),
    "W2S other": ("clean-w2s/w2s_avg400_18x512x512_u8.tif", 12),
    "actin": ("clean-bpae/BPAE_actin_512x512.tif", 0),
    "mitochondria": ("clean-bpae/BPAE_mito_512x512.tif", 0),
    "nuclei": ("clean-bpae/BPAE_nuclei_512x512.tif", 0),
    "lysosomes": ("clean-lysosome/lysosome_20x128x128.tif", 0),
}
#: The same, of images that no threshold was chosen with.
HELD_OUT = {
    "ssTEM, plane 4": ("clean-ssTEM/isbi_ssTEM_6x512x512_u8.tif", 4),
    "W2S, plane 4": ("clean-w2s/w2s_avg400_18x512x512_u8.tif", 4),
    "W2S, plane 9": ("clean-w2s/w2s_avg400_18x512x512_u8.tif", 9),
    "lysosomes, plane 11": ("clean-lysosome/lysosome_20x128x128.tif", 11),
}
#: Real images: the axes of the file, how they are measured, the axis of the catalogue.
REAL = {
    "scanr-neubias/nuclei_1024x1344.tif": ("YX", False, "x"),
    "scanr-neubias/nuclei_tubulin_2x214x226.tif": ("CYX", False, "x"),
    "scanr-neubias/nuclei_various_shapes_253x269.tif": ("YX", False, "x"),
    "hela-cells/hela_3x512x672.tif": ("CYX", False, "x"),
    "twophoton-prairie/cycle002_53x260x348.tif": ("TYX", True, "x"),
    "vesicles-3d/cell_3d_vesicles_33x160x250.tif": ("ZYX", False, "x"),
    "ccd-celegans/worms_7x520x696.tif": ("SYX", False, "x"),
    "stem-haadf/multi_signal_HAADF_512x512.tif": ("YX", False, "x"),
    "afm-scifi/P0089_amp_user_2x256x256.tif": ("CYX", False, "x"),
    "scmos-acsn/TIRF_200Hz_20x256x256.tif": ("TYX", False, "none"),
    "fmd/Confocal_BPAE_B_raw_mean50_2x4x512x512_u8.tif": ("TYX", False, "x"),
    "fmd/Confocal_FISH_raw_mean50_2x4x512x512_u8.tif": ("TYX", False, "x"),
    "fmd/Confocal_MICE_raw_mean50_2x4x512x512_u8.tif": ("TYX", False, "x"),
    "fmd/TwoPhoton_BPAE_G_raw_mean50_2x4x512x512_u8.tif": ("TYX", False, "x"),
    "fmd/TwoPhoton_MICE_raw_mean50_2x4x512x512_u8.tif": ("TYX", False, "x"),
    "fmd/WideField_BPAE_R_raw_mean50_2x4x512x512_u8.tif": ("TYX", False, "both"),
}
#: Standard deviation of the noise where the signal is at its peak, in peaks.
LEVELS = (0.05, 0.15, 0.4)
SIDE = 256


def run(console: Console) -> None:
    """Ask for the advice on everything, print and save what came."""
    results: dict[str, Any] = {}
    for group, (held_out, noises) in GROUPS.items():
        results[group] = _simulated(held_out, noises)
        console.print(f"{group}: {results[group]}", highlight=False)
    for file, (axes, frames, truth) in REAL.items():
        if not (SHARED / file).exists():
            continue
        images = tifffile.imread(SHARED / file)
        images = images[0] if file.startswith("fmd") else images
        measured = noise_report(Stack(images, axes, 2), frames=frames)
        found = _axis(measured.facts)
        x, y = measured.correlation.along_x[1:4], measured.correlation.along_y[1:4]
        results[file] = {
            "catalogue": truth,
            "found": found,
            "rows": x.round(2).tolist(),
            "columns": y.round(2).tolist(),
            "outliers": measured.n_outliers,
        }
        console.print(f"{file}: {results[file]}", highlight=False)
    save("advice", results)
    console.print(f"wrote {RESULTS / 'advice.json'}")


def _simulated(held_out: bool, noises: "Noises") -> dict[str, Any]:
    """Count the verdicts on clean images under noises; list what is not right."""
    counts, others = Counter[str](), []
    for name, clean in _clean_images(held_out):
        for level in LEVELS:
            for kind, truth, noise in noises(clean.shape):
                found = found_axis(_noisy(clean, noise, level))
                verdict = judge(found, truth)
                counts[verdict] += 1
                if verdict != "right":
                    others.append(f"{verdict}: {name}, {level}, {kind}: {found}")
    return {**counts, "not right": others}


def judge(found: str, truth: str) -> str:
    """Return "right", "open" if it is not said, "careful" for both axes, or "wrong"."""
    if found == truth:
        return "right"
    return {"unclear": "open", "both": "careful"}.get(found, "wrong")


def found_axis(image: NDArray[Any]) -> str:
    """Return the axis that the advice on one plane (y, x) names."""
    return _axis(noise_report(Stack(image, "YX", 2)).facts)


def _axis(facts: NoiseFacts) -> str:
    others = {"independent": "none", "both axes": "both", "unclear": "unclear"}
    return others.get(facts.pattern, facts.axis)


def _clean_images(held_out: bool) -> Iterator[tuple[str, Image]]:
    """Yield images 0 to 1: real ones, and textures without a flat place."""
    for name, (file, plane) in (HELD_OUT if held_out else CLEAN).items():
        if not (SHARED / file).exists():
            raise SystemExit(f"{SHARED / file} is not here")
        images = tifffile.imread(SHARED / file).astype(np.float32)
        image = images.reshape(-1, *images.shape[-2:])[plane]
        peak = np.quantile(image, 0.999)
        yield name, (image - image.min()) / (peak - image.min())
    rng = np.random.default_rng(int(held_out))
    yield "filaments, every direction", _filaments(rng, 60, 0, 3, 1.3)
    yield "filaments along y", _filaments(rng, 60, np.pi / 2, 0.15, 1.5)
    walls = [_filaments(rng, 14, angle, 0.05, 2) for angle in (0, np.pi / 2)]
    yield "cell walls", np.maximum(*walls)
    field = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2)
    texture = np.exp(0.7 * field / field.std()).astype(np.float32)
    yield "texture", texture / np.quantile(texture, 0.999)


def _filaments(
    rng: np.random.Generator, n: int, angle: float, spread: float, width: float
) -> Image:
    """Draw straight lines about an angle from the x axis, radians; width in pixels."""
    y, x = np.mgrid[:SIDE, :SIDE]
    drawn = np.zeros((SIDE, SIDE))
    for _ in range(n):
        a, (cy, cx) = angle + spread * rng.normal(), rng.uniform(0, SIDE, 2)
        distance = (y - cy) * np.cos(a) - (x - cx) * np.sin(a)
        drawn += rng.uniform(0.4, 1) * np.exp(-(distance**2) / (2 * width**2))
    return (drawn / np.quantile(drawn, 0.999)).astype(np.float32)


def _noises(shape: tuple[int, ...]) -> Iterator[tuple[str, str, Image]]:
    """Yield noises of deviation 1 with their axis, the same ones every time."""
    rng = np.random.default_rng(1)
    height, width = shape
    makers: dict[str, tuple[str, Callable[[], Any]]] = {
        "white": ("none", lambda: rng.normal(size=shape)),
        "rows 0.6": ("x", lambda: ar1(shape, 0.6, rng)),
        "rows 0.12": ("x", lambda: ar1(shape, 0.12, rng)),
        "rows -0.25": ("x", lambda: ar1(shape, -0.25, rng)),
        "whole rows": (
            "x",
            lambda: rng.normal(size=shape) + 0.57 * rng.normal(size=(height, 1)),
        ),
        "columns 0.6": ("y", lambda: ar1((width, height), 0.6, rng).T),
        "columns 0.2": ("y", lambda: ar1((width, height), 0.2, rng).T),
        "smoothed 0.7": ("both", lambda: _smoothed(rng, shape, 0.7)),
        "smoothed 1.2": ("both", lambda: _smoothed(rng, shape, 1.2)),
    }
    return _of_unit_deviation(makers)


def _other_noises(shape: tuple[int, ...]) -> Iterator[tuple[str, str, Image]]:
    """Yield noises of other kinds than those that thresholds were chosen with."""
    rng = np.random.default_rng(2)
    height, width = shape

    def blurred() -> Any:
        return ndimage.gaussian_filter1d(rng.normal(size=shape), 0.8, axis=1)

    makers: dict[str, tuple[str, Callable[[], Any]]] = {
        "white": ("none", lambda: rng.normal(size=shape)),
        "rows blurred": ("x", blurred),
        "rows 0.9 and white": (
            "x",
            lambda: 0.5 * ar1(shape, 0.9, rng) + rng.normal(size=shape),
        ),
        "rows 0.3": ("x", lambda: ar1(shape, 0.3, rng)),
        "columns -0.15": ("y", lambda: ar1((width, height), -0.15, rng).T),
        "columns 0.4": ("y", lambda: ar1((width, height), 0.4, rng).T),
        "smoothed 0.5": ("both", lambda: _smoothed(rng, shape, 0.5)),
        "smoothed 0.9": ("both", lambda: _smoothed(rng, shape, 0.9)),
    }
    return _of_unit_deviation(makers)


def _resampled_noises(shape: tuple[int, ...]) -> Iterator[tuple[str, str, Image]]:
    """Yield noise of rows after what users and programs do to images."""
    rng = np.random.default_rng(5)
    height, width = shape

    def rows(scale: float = 1, more: int = 0, rho: float = 0.8) -> Any:
        size = int(height / scale) + more, int(width / scale) + more
        return ar1(size, rho, rng)

    def inner(image: Any, left_out: int) -> Any:
        cut = slice(left_out, left_out + height), slice(left_out, left_out + width)
        return image[cut]

    def rotated() -> Any:
        turned = ndimage.rotate(rows(more=80), 5, reshape=False, order=1)
        return inner(turned, 40)

    def registered() -> Any:
        return inner(ndimage.shift(rows(more=8), (0.5, 0.5), order=1), 4)

    makers: dict[str, tuple[str, Callable[[], Any]]] = {
        "mean of 3 × 3": ("both", lambda: ndimage.uniform_filter(rows(), 3)),
        "median of 3 × 3": ("both", lambda: ndimage.median_filter(rows(), 3)),
        "blurred by 0.8": ("both", lambda: ndimage.gaussian_filter(rows(), 0.8)),
        "registered": ("both", registered),
        "rotated": ("both", rotated),
        "enlarged": ("both", lambda: inner(ndimage.zoom(rows(2, 8), 2, order=1), 4)),
        "columns, too": ("both", lambda: ar1((width, height), 0.5, rng).T + rows()),
    }
    return _of_unit_deviation(makers)


def _of_unit_deviation(
    makers: Mapping[str, tuple[str, Callable[[], Any]]],
) -> Iterator[tuple[str, str, Image]]:
    for name, (axis, make) in makers.items():
        noise = make()
        yield name, axis, noise / noise.std()


def _smoothed(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> Any:
    return ndimage.gaussian_filter(rng.normal(size=shape), width)


Noises = Callable[[tuple[int, ...]], Iterator[tuple[str, str, Image]]]
#: Groups of trials: whether the images are held out, and their noises.
GROUPS: dict[str, tuple[bool, Noises]] = {
    "simulated": (False, _noises),
    "held out": (True, _other_noises),
    "resampled": (False, _resampled_noises),
}


def _noisy(clean: Image, noise: Image, level: float) -> NDArray[np.uint16]:
    """Add noise that grows with the signal; whole grey levels, as a camera gives."""
    deviation = level * np.sqrt(0.3 + 0.7 * np.clip(clean, 0, 1))
    return np.rint(5000 + 1000 * (clean + deviation * noise)).astype(np.uint16)
