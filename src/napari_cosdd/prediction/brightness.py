"""Results as bright as the noisy image, averaged over some pixels.

The posterior mean of a faint object is drawn towards its surroundings, for a single
noisy image cannot prove the object. Where amplitudes are measured, the blurred residual
is added to the result: that brings the bias back, and with it only little noise, as far
as the blur averages it.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

#: Half width of the blur's kernel, in its deviations.
REACH = 3.0


def with_brightness_of(noisy: Tensor, results: Tensor, sigma: float) -> Tensor:
    """Return results plus the blurred difference of the noisy image from them.

    Parameters
    ----------
    noisy : Tensor, shape (1, c, *spatial)
        The noisy image.
    results : Tensor, shape (n, c, *spatial)
        Samples or means, in the same units.
    sigma : float
        Deviation of the Gaussian blur, pixels.
    """
    return results + blurred(noisy - results, sigma)


def reach(sigma: float) -> int:
    """Return the distance up to which pixels take part in the blur."""
    return math.ceil(REACH * sigma)


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
