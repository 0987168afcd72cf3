"""Calibration from images: what serves as the signal, the noise model, its variance."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import as_frames, one_image, stack_of
from napari_cosdd.noise_analysis.report import report
from napari_cosdd.noise_analysis.signal_dependence import (
    SignalDependence,
    grey_step,
    variance_of_residual,
)
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.calibrate import calibrate_pairs, pairs_of_frames
from napari_cosdd.noise_models.mixture import MixtureNoise
from napari_cosdd.noise_models.poisson_gauss import PoissonGaussNoise

#: Levels of the signal in a picture of p(x | s).
LEVELS = 64
#: Bins of the noisy pixel in that picture.
BINS = 96
#: Block of noisy pixels that is sampled at each level.
BLOCK = (40, 50)
#: Pairs with which a noise model is compared.
COMPARED = 40_000
#: Bands of the signal in which it is compared.
BANDS = 4
#: Blur of both distributions, deviations of the noise.
BLUR = 0.1
#: Difference from which a user is warned.
MISFIT = 0.15


class Calibration(NamedTuple):
    """A noise model and what it was fitted to.

    Attributes
    ----------
    model : NoiseModel
        The fit.
    measured : SignalDependence
        Variance of the noise at levels of the signal, from the same pixels.
    misfit : float or None
        Largest difference of the cumulative distributions of measured and modelled
        noise, from 0 to 1; None where only variances were measured.
    """

    model: NoiseModel
    measured: SignalDependence
    misfit: float | None = None

    @property
    def warning(self) -> str | None:
        """Say that the noise model does not describe the noise; None if it does."""
        if self.misfit is None or self.misfit <= MISFIT:
            return None
        other = MixtureNoise.title
        hint = (
            "are all frames repeats of the same scene?"
            if self.model.title == other
            else f"the {other} describes most kinds of noise"
        )
        return (
            f"at some brightness the noise model ({self.model.title}) differs from the "
            f"measured noise for {self.misfit:.0%} of the pixels; {hint}"
        )


class ModelCurves(NamedTuple):
    """A noise model in numbers to draw.

    Attributes
    ----------
    signal, variance : ndarray, shape (levels,)
        Variance of the noise, grey levels squared, at levels of the signal.
    density : ndarray, shape (bins, levels)
        p(x | s) per grey level: a column for each signal, a row for each bin of x.
    noisy_range : (float, float)
        Lowest and highest edge of the bins, grey levels.
    """

    signal: NDArray[np.float64]
    variance: NDArray[np.float64]
    density: NDArray[np.float64]
    noisy_range: tuple[float, float]


def measure(
    images: Sequence[Image],
    truth: Image | None,
    kind: str,
    seed: int = 0,
    *,
    repeats: bool = True,
) -> Calibration:
    """Measure a noise model.

    Parameters
    ----------
    images : sequence of Image
        One noisy image for a `truth`; else repeats of a static scene. A single image
        without repeats serves for "poisson_gauss", and for "autoregressive" if it is
        dark or empty: the mean of each of its planes is then the signal.
    truth : Image or None
        The signal.
    kind : str
        Kind of noise model.
    seed : int
        Source of randomness.
    repeats : bool
        Whether the planes of a series show one static scene; False: each plane is
        measured alone.

    Raises
    ------
    BadInputError
        If the images do not fit each other or the kind, or there are too few.
    """
    if truth is not None:
        noisy = np.asarray(one_image(list(images)).data)
        signal = np.asarray(truth.data)
        return _compared(calibrate_pairs(signal, noisy, kind, seed), signal, noisy)
    series = as_frames(images)
    letter = next((a for a in "TS" if a in series.axes), None)
    if letter is not None and repeats:
        frames = np.moveaxis(np.asarray(series.data), series.axes.index(letter), 0)
        signal, noisy = pairs_of_frames(frames)
        model = calibrate_pairs(signal, noisy, kind, seed, grey_step(frames))
        return _compared(model, signal, noisy)
    if kind == "poisson_gauss":
        curve = report(stack_of(series, 2, "nothing")).dependence
        fitted = PoissonGaussNoise.of_curve(curve.signal, curve.variance)
        return Calibration(fitted, curve)
    if kind == "autoregressive":
        dark = np.asarray(series.data)
        mean = dark.mean((-2, -1), keepdims=True, dtype=np.float64)
        signal = np.broadcast_to(mean, dark.shape)
        model = calibrate_pairs(signal, dark, kind, seed)
        flat = np.array([float(dark.mean())]), np.array([float(np.var(dark - mean))])
        return Calibration(model, SignalDependence(*flat, 0.0, False))
    raise BadInputError(
        f"axes {series.axes}: expected repeats of a scene (T or S), or a clean image"
    )


def _compared(
    model: NoiseModel, signal: NDArray[Any], noisy: NDArray[Any]
) -> Calibration:
    noise = noisy.astype(np.float64) - signal
    measured = variance_of_residual(signal, noise)
    independent = model.is_independent
    return Calibration(
        model, measured, misfit(model, signal, noisy) if independent else None
    )


def misfit(
    model: NoiseModel, signal: NDArray[Any], noisy: NDArray[Any], seed: int = 0
) -> float:
    """Return how far a noise model is from the pairs that it was measured on.

    In each of four bands of the signal the noise of the pairs is compared with noise of
    the model at the same signals: the distance is that of Kolmogorov and Smirnov,
    after both were blurred slightly, for grey levels are whole numbers.

    Parameters
    ----------
    model : NoiseModel
        On the CPU, of independent pixels.
    signal, noisy : ndarray, equal shapes
        Grey levels.
    seed : int
        Source of randomness.
    """
    rng = np.random.default_rng(seed)
    good = np.flatnonzero(np.isfinite(signal) & np.isfinite(noisy))
    some = rng.choice(good, min(COMPARED, good.size), replace=False)
    s, x = (np.asarray(a, np.float64).reshape(-1)[some] for a in (signal, noisy))
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        drawn = model.sample(torch.from_numpy(s.astype(np.float32)), generator).numpy()
    found = []
    for band in np.array_split(np.argsort(s), BANDS):
        pair = x[band] - s[band], drawn[band] - s[band]
        blur = BLUR * pair[0].std()
        smooth = (noise + rng.normal(0, blur, noise.shape) for noise in pair)
        found.append(float(stats.ks_2samp(*smooth).statistic))
    return max(found)


def curves_of(model: NoiseModel, seed: int = 0) -> ModelCurves:
    """Return variance and density of a noise model over its signal range, by samples.

    Parameters
    ----------
    model : NoiseModel
        On the CPU.
    seed : int
        Source of randomness.
    """
    signal = np.linspace(*model.signal_range, LEVELS)
    s = torch.from_numpy(signal.astype(np.float32))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        drawn = model.sample(s[:, None, None].expand(-1, *BLOCK), generator)
    x = drawn.reshape(LEVELS, -1).numpy().astype(np.float64)
    low, high = np.quantile(x, [0.001, 0.999])
    edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
    columns = [np.histogram(row, edges)[0] for row in x]
    density = np.stack(columns, 1) / (x.shape[1] * (edges[1] - edges[0]))
    return ModelCurves(signal, x.var(1), density, (float(edges[0]), float(edges[-1])))
