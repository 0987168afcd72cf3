"""Building blocks of the two-dimensional, three-dimensional and linear networks.

Normalization-free: every residual branch starts at zero, so a deep network starts
as the identity and needs no statistics over space or batch. A tile of an image
therefore gives the same output as the whole image, and training is about a third faster
on a CPU than with batch norm.
"""

from typing import Any

import torch
from torch import Tensor, nn

CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def strides(ndim: int, factor: int) -> tuple[int, ...]:
    """Stride per axis for resampling by `factor`: z of a stack is never resampled.

    Stacks are short and anisotropic along z; 3x3x3 kernels still see the neighbours.
    """
    return (1, factor, factor) if ndim == 3 else (factor,) * ndim


def conv(
    ndim: int, n_in: int, n_out: int, kernel: int = 3, stride: int = 1
) -> nn.Module:
    """Return a convolution that keeps the size (up to its stride), in `ndim` axes."""
    return CONVOLUTIONS[ndim](
        n_in,
        n_out,
        kernel,
        stride=strides(ndim, stride),
        padding=kernel // 2,
    )


def downsample(ndim: int, n_in: int, n_out: int) -> nn.Module:
    """Return a learned halving of y and x."""
    step = strides(ndim, 2)
    return CONVOLUTIONS[ndim](n_in, n_out, step, stride=step)


def upsample(ndim: int, n_in: int, n_out: int) -> nn.Module:
    """Return a learned doubling of y and x.

    It begins as a repetition of pixels: the kernel's taps start equal, or random
    ones would lay a grid of period 2 over the image that training has to unlearn.
    """
    step = strides(ndim, 2)
    made = TRANSPOSED[ndim](n_in, n_out, step, stride=step)
    with torch.no_grad():
        first = made.weight[(..., *(slice(0, 1),) * ndim)]
        made.weight.copy_(first.clone().expand_as(made.weight))
    return made


def channels_last(tensor: Tensor) -> Tensor:
    """Return images or kernels with channels innermost: twice as fast on a CPU.

    One channel alone lies innermost and outermost alike, and torch then takes it for
    outermost, and so all that follows from it: the strides have to say which it is.
    """
    if tensor.ndim not in _CHANNELS_LAST or tensor.device.type == "mps":
        return tensor.contiguous()  # Metal's gradients take 30 times as long otherwise
    tensor = tensor.contiguous(memory_format=_CHANNELS_LAST[tensor.ndim])
    if tensor.shape[1] > 1:
        return tensor
    steps = tensor.contiguous().stride()
    return tensor.as_strided(tensor.shape, (steps[0], 1, *steps[2:]))


def weights_channels_last(module: nn.Module) -> None:
    """Store all kernels of `module` with channels innermost."""
    for parameter in module.parameters():
        parameter.data = channels_last(parameter.data)


def zero(module: nn.Module) -> nn.Module:
    """Set the parameters of `module` to zero, so that its branch starts silent."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def nearly_zero(module: nn.Module) -> nn.Module:
    """Scale the parameters of `module` down, so that what it adds starts faint."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.1)
    return module


class ResidualBlock(nn.Module):
    """x + W2 silu(W1 silu(x)), with W2 starting at zero."""

    def __init__(self, ndim: int, n_channels: int) -> None:
        super().__init__()
        self.first = conv(ndim, n_channels, n_channels)
        self.second = zero(conv(ndim, n_channels, n_channels))
        self.activation = nn.SiLU()

    def forward(self, h: Tensor) -> Tensor:
        """Return features of the shape of `h`."""
        branch = self.first(self.activation(h))
        return h + self.second(self.activation(branch))


def residual_blocks(ndim: int, n_channels: int, n_blocks: int) -> nn.Sequential:
    """Return `n_blocks` residual blocks in a row."""
    return nn.Sequential(*(ResidualBlock(ndim, n_channels) for _ in range(n_blocks)))
