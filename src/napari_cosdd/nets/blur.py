"""Gaussian blur of tensors."""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from napari_cosdd.devices import constant

#: Half width of the kernel, in deviations.
REACH = 3.0


def reach(sigma: float) -> int:
    """Return the distance up to which pixels take part in a blur."""
    return math.ceil(REACH * sigma)


def gaussian_blur(x: Tensor, sigma: float, axes: Sequence[int]) -> Tensor:
    """Blur images (n, c, *spatial); borders are continued by mirroring.

    Along an axis that is shorter than the kernel, the kernel is cut.

    Parameters
    ----------
    x : Tensor, shape (n, c, *spatial)
        Images.
    sigma : float
        Deviation of the Gaussian, pixels.
    axes : sequence of int
        Axes of `x` to blur along.
    """
    for axis in axes:
        radius = min(reach(sigma), x.shape[axis] - 1)
        weights = [
            math.exp(-0.5 * (i / sigma) ** 2) for i in range(-radius, radius + 1)
        ]
        total = sum(weights)
        kernel = constant(tuple(w / total for w in weights), x.device, x.dtype)
        moved = x.movedim(axis, -1)
        lines = moved.reshape(-1, 1, moved.shape[-1])
        padded = functional.pad(lines, (radius, radius), mode="reflect")
        blurred = functional.conv1d(padded, kernel.reshape(1, 1, -1))
        x = blurred.reshape(moved.shape).movedim(-1, axis)
    return x
