"""A mean as bright as the noisy image, averaged over some pixels.

The posterior mean of a faint object is drawn towards its surroundings, for a single
noisy image cannot prove the object. Where amplitudes are measured, the blurred residual
is added to the mean: that brings the bias back, and with it only little noise, as far
as the blur averages it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.settings.prediction import PredictionConfig

#: Half width of the blur's kernel, in its deviations.
REACH = 3.0


def blur_of(config: PredictionConfig, spec: DataSpec) -> float:
    """Return the deviation of the blur, pixels of the images that a network sees.

    A model of grids sees pixels that lie further apart.
    """
    return config.keep_brightness / (spec.grid or 1)


def reach(sigma: float) -> int:
    """Return the distance up to which pixels take part in a blur."""
    return math.ceil(REACH * sigma)


def with_brightness_of(
    noisy: Tensor, mean: Tensor, sigma: float, lost: Sequence[int]
) -> Tensor:
    """Return the mean plus the blurred difference of the noisy image from it.

    Parameters
    ----------
    noisy, mean : Tensor, shape (1, c, *spatial)
        In the same units.
    sigma : float
        Deviation of the Gaussian blur, pixels.
    lost : sequence of int
        Number of pixels at the end of each spatial axis where the mean is no estimate;
        the blur leaves them out.
    """
    known = torch.ones_like(mean[:, :1])
    for axis, n in enumerate(lost, start=2):
        known.narrow(axis, known.shape[axis] - n, n).zero_()
    residual = known * (noisy.to(mean.dtype) - mean)
    return mean + blurred(residual, sigma) / blurred(known, sigma).clamp_min(1e-6)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Blur images (n, c, *spatial) by a Gaussian; borders are continued by mirroring.

    Along an axis that is shorter than the kernel, the kernel is cut.
    """
    for axis in range(2, x.ndim):
        radius = min(reach(sigma), x.shape[axis] - 1)
        at = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
        kernel = torch.exp(-0.5 * (at / sigma) ** 2)
        kernel = (kernel / kernel.sum())[None, None]
        moved = x.movedim(axis, -1)
        lines = moved.reshape(-1, 1, moved.shape[-1])
        padded = functional.pad(lines, (radius, radius), mode="reflect")
        x = functional.conv1d(padded, kernel).reshape(moved.shape).movedim(-1, axis)
    return x
