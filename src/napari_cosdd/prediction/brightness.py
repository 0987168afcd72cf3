"""A mean as bright as the noisy image, averaged over some pixels.

The posterior mean of a faint object is drawn towards its surroundings, for a single
noisy image cannot prove the object. Where amplitudes are measured, the blurred residual
is added to the mean: that brings the bias back, and with it only little noise, as far
as the blur averages it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.nets.blur import gaussian_blur
from napari_cosdd.settings.prediction import PredictionConfig


def blur_of(config: PredictionConfig, spec: DataSpec) -> float:
    """Return the deviation of the blur, pixels of the images that a network sees."""
    return spec.in_network_pixels(config.keep_brightness)


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
    axes = range(2, mean.ndim)
    weights = gaussian_blur(known, sigma, axes).clamp_min(1e-6)
    return mean + gaussian_blur(residual, sigma, axes) / weights
