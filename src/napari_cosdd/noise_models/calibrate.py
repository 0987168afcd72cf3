"""Measuring a noise model on pairs of signal and noisy pixel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.noise_analysis.signal_dependence import grey_step
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.registry import get_noise_model

#: Smallest number of pairs.
FEWEST = 10_000
#: Smallest number of frames whose mean serves as signal.
FRAMES = 8
#: Noisy pixels that are sampled at either end of the signal range.
DRAWN = 2000
#: Share of the signal range by which images may exceed these without a warning.
SLACK = 0.1


def calibrate_pairs(
    signal: NDArray[Any],
    noisy: NDArray[Any],
    kind: str,
    seed: int = 0,
    step: float | None = None,
) -> NoiseModel:
    """Measure p(x | s).

    Parameters
    ----------
    signal, noisy : ndarray, equal shapes
        Grey levels; pairs that are not finite are left out.
    kind : {"mixture", "histogram", "poisson_gauss", "autoregressive"}
        Kind of noise model.
    seed : int
        Source of randomness.
    step : float, optional
        Distance of the detector's grey levels, 0 for a continuum; default: that of the
        noisy pixels, which `pairs_of_frames` stretches.

    Raises
    ------
    BadInputError
        If the shapes differ, or there are too few pairs or no noise in them; if pixels
        are not finite and the kind needs whole images.
    """
    if signal.shape != noisy.shape:
        raise BadInputError(
            f"signal {signal.shape} and noisy image {noisy.shape} differ in shape"
        )
    good = np.isfinite(signal) & np.isfinite(noisy)
    n = int(np.count_nonzero(good))
    model = get_noise_model(kind)
    if not model.is_independent and n < good.size:
        holes = np.count_nonzero(~np.isfinite(noisy)) or good.size - n
        raise BadInputError(
            f"{holes} pixels are not finite; a noise model of kind {kind} needs whole "
            "images"
        )
    if n < FEWEST:
        raise BadInputError(f"{n} pairs of pixels are too few; {FEWEST} are the least")
    s, x = (signal[good], noisy[good]) if model.is_independent else (signal, noisy)
    if not np.any(s != x):
        raise BadInputError("signal and noisy image are equal: there is no noise")
    step = grey_step(x) if step is None else step
    return model.fit(s, x, np.random.default_rng(seed), step)


def pairs_of_frames(
    frames: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return signal and noisy pixels of repeats of a static scene.

    Any static scene serves; one with all brightnesses is best, such as the field
    diaphragm out of focus (Krull et al. 2020, section 5.4). Its mean is the signal,
    which holds a part of each frame's noise, so that the difference of `t` frames from
    it has a variance too small by 1 - 1/t. The noisy pixels make up for that.

    Parameters
    ----------
    frames : ndarray, shape (t, ...)
        At least eight frames.

    Raises
    ------
    BadInputError
        If there are fewer.
    """
    if len(frames) < FRAMES:
        raise BadInputError(
            f"{len(frames)} frames: the mean of fewer than {FRAMES} is no clean signal"
        )
    mean = frames.mean(0, dtype=np.float64)
    noisy = frames - mean
    noisy *= np.sqrt(len(frames) / (len(frames) - 1))
    noisy += mean
    return np.broadcast_to(mean, frames.shape), noisy


def outside_range(model: NoiseModel, levels: Sequence[float]) -> str | None:
    """Return a warning if images exceed the range of a noise model, or None.

    Noisy pixels exceed the signal range; the model itself says by how much.

    Parameters
    ----------
    model : NoiseModel
        On the CPU.
    levels : sequence of float
        Lowest and highest usual grey level of the noisy images.
    """
    if not model.depends_on_signal:
        return None
    low, high = model.signal_range
    generator = torch.Generator().manual_seed(0)
    ends = torch.tensor([low, high]).expand(DRAWN, 2)
    with torch.no_grad():
        samples = model.sample(ends, generator)
    slack = SLACK * (high - low)
    least = float(samples[:, 0].quantile(0.01)) - slack
    most = float(samples[:, 1].quantile(0.99)) + slack
    if least <= min(levels) and max(levels) <= most:
        return None
    return (
        f"the images have grey levels from {min(levels):.4g} to {max(levels):.4g}; the "
        f"noise model was measured at signals from {low:.4g} to {high:.4g}, with their "
        f"noise from {least:.4g} to {most:.4g}, and says nothing beyond"
    )
