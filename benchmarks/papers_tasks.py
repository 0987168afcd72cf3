"""The tasks of the table of the papers' methods: what is learned from, what is judged.

Simulated noise over clean images, and repeats of a static scene. Supervised methods
learn from the other images, never from the judged one; noise models are measured on
these, too, or on repeats.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import fmd
from benchmarks.common import (
    JUDGED,
    NOISES,
    SHARED,
    Image,
    best_blur,
    read,
    read_others,
)
from benchmarks.common import SETS as IMAGES
from napari_cosdd import api
from napari_cosdd.datasets.simulate import ar1, stripes
from napari_cosdd.noise_analysis.signal_dependence import grey_step
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.calibrate import calibrate_pairs, pairs_of_frames

#: Independent noise: signal of one photon, and deviation of the Gaussian part, of
#: images 0 to 1.
WEAK = {"gain": 0.02, "gaussian": 0.05, "row": 0.0}
STRONG = {"gain": 0.08, "gaussian": 0.1, "row": 0.0}
#: Files of repeats of a static scene, whose mean is the truth.
REPEATS = {
    "tirf": "scmos-acsn/TIRF_200Hz_20x256x256.tif",
    "twophoton": "twophoton-prairie/cycle002_53x260x348.tif",
}
#: Kinds of the published frames, whose truth is the mean of fifty.
PUBLISHED = {
    "fmd/confocal zebrafish": "Confocal_FISH",
    "fmd/two-photon mouse": "TwoPhoton_MICE",
}
Part = tuple[slice, slice]
WHOLE: Part = (slice(None), slice(None))


@dataclass(frozen=True)
class Task:
    """A stack to learn from, what is judged, and what else the methods may see.

    Attributes
    ----------
    noisy : ndarray, shape (n, y, x)
        Images to learn from; the first is judged.
    judged : tuple of slice
        Part of the first image.
    truth : ndarray, shape of the judged part
        Clean.
    peak : float
        Range of the signal, for the PSNR.
    axis : str
        Axis of the noise, or "none".
    noise_model : callable
        Measures a noise model of a kind.
    pairs, clean_pairs : tuple of ndarray
        Images and targets of Noise2Noise and of CARE; empty: the method is left out.
    """

    noisy: Image
    judged: Part
    truth: NDArray[Any]
    peak: float
    axis: str
    noise_model: Callable[[str], NoiseModel]
    pairs: Sequence[Image] = ()
    clean_pairs: Sequence[Image] = ()

    @property
    def blur(self) -> float:
        """PSNR of the Gaussian blur that is best for the truth, dB."""
        return best_blur(self.noisy[0], self.truth, self.peak, self.judged)[0]


def dark_rows(clean: Image, rng: np.random.Generator) -> Image:
    """Add noise along rows that is the same at every signal."""
    return (clean + 0.08 * ar1(clean.shape, 0.8, rng)).astype(np.float32)


def tasks() -> dict[str, Callable[[], Task]]:
    """Return the tasks by name, each loaded when called."""
    known: dict[str, Callable[[], Task]] = {}
    for data in IMAGES:
        for name, levels in (("independent", WEAK), ("strong", STRONG)):
            known[f"{data}/{name}"] = _simulated(data, stripes, levels, "none")
        known[f"{data}/dark rows"] = _simulated(data, dark_rows, {}, "x")
        for name, (make, settings, axis) in NOISES.items():
            known[f"{data}/{name}"] = _simulated(data, make, settings, axis)
    for name in REPEATS:
        known[name] = lambda name=name: _repeats(name)  # type: ignore[misc]
    for name, kind in PUBLISHED.items():
        known[name] = lambda kind=kind: _published(kind)  # type: ignore[misc]
    return known


def _simulated(
    data: str, make: Any, settings: dict[str, float], axis: str
) -> Callable[[], Task]:
    def load() -> Task:
        clean, rng = read(IMAGES[data]), np.random.default_rng(0)
        others = read_others(data, clean)
        noisy = make(clean, rng, **settings)
        seen, again = (make(others, rng, **settings) for _ in range(2))
        return Task(
            noisy,
            JUDGED,
            clean[0][JUDGED],
            1.0,
            axis,
            lambda kind: calibrate_pairs(others, seen, kind),
            (seen, again),
            (seen, others),
        )

    return load


def _repeats(name: str) -> Task:
    """Judge the first frame against the mean of the others."""
    frames = np.asarray(api.one_image(SHARED / REPEATS[name], "TYX").data)
    frames = frames.astype(np.float32)
    truth = frames[1:].mean(0)

    def measured(kind: str) -> NoiseModel:
        pairs, step = pairs_of_frames(frames), grey_step(frames)
        return calibrate_pairs(*pairs, kind, step=step)

    return _static(frames, truth, float(np.ptp(truth)), measured)


def _published(kind: str) -> Task:
    """Judge the first of four frames against the mean of fifty."""
    frames, truth = fmd.read_frames(kind)

    def measured(kind: str) -> NoiseModel:  # four frames have no clean mean
        return calibrate_pairs(np.broadcast_to(truth, frames.shape), frames, kind)

    return _static(frames, truth, fmd.PEAK, measured)


def _static(
    frames: Image, truth: Image, peak: float, noise_model: Callable[[str], NoiseModel]
) -> Task:
    pairs = frames[:-1], frames[1:]
    return Task(frames, WHOLE, truth, peak, "auto", noise_model, pairs)
