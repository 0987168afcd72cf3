"""The signal decoder: from the signal code to the clean image.

COSDD, section 4.2 and equation 6.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from napari_cosdd.nets.blocks import conv


class SignalDecoder(nn.Module):
    """Convolutions 3x3 with ReLU between, code (n, code, *) to image (n, c, *)."""

    def __init__(
        self, ndim: int, n_code: int, n_channels: int, n_out: int, n_layers: int
    ) -> None:
        sizes = [n_code] + [n_channels] * (n_layers - 1)
        layers: list[nn.Module] = []
        for n_in, n_next in itertools.pairwise(sizes):
            layers += [conv(ndim, n_in, n_next), nn.ReLU()]
        super().__init__()
        self.hidden = nn.Sequential(*layers)
        self.out: Any = conv(ndim, sizes[-1], n_out)

    def forward(self, code: Tensor) -> Tensor:
        """Return E[x | z], the clean image."""
        h = self.hidden(code)
        with torch.autocast(code.device.type, enabled=False):
            return self.out(h.to(self.out.weight.dtype))
