"""A deterministic U-Net of the ladder's blocks: image to image, no latents."""

import torch
from torch import Tensor, nn

from napari_cosdd.nets.blocks import (
    conv,
    downsample,
    residual_blocks,
    strides,
    upsample,
)


class UNet(nn.Module):
    """Encoder and decoder with skips, halving y and x between levels.

    Serves all methods without latents and the direct denoiser (arXiv 2310.18116), so
    that they can be compared at one size.

    Parameters
    ----------
    ndim, n_in, n_out : int
        Spatial axes; image channels in and out.
    n_channels, n_levels, n_blocks : int
        Features, resolutions, and residual blocks of each in each direction.
    stem_stride : {1, 2}
        2 works from half resolution down: four times cheaper.
    """

    def __init__(
        self,
        ndim: int,
        n_in: int,
        n_out: int,
        *,
        n_channels: int,
        n_levels: int,
        n_blocks: int,
        stem_stride: int,
    ) -> None:
        super().__init__()
        self.multiple = strides(ndim, stem_stride * 2 ** (n_levels - 1))
        self.stem = conv(ndim, n_in, n_channels, 5, stem_stride)
        self.encode = nn.ModuleList(
            residual_blocks(ndim, n_channels, n_blocks) for _ in range(n_levels)
        )
        self.down = nn.ModuleList(
            downsample(ndim, n_channels, n_channels) for _ in range(n_levels - 1)
        )
        self.up = nn.ModuleList(
            upsample(ndim, n_channels, n_channels) for _ in range(n_levels - 1)
        )
        self.merge = nn.ModuleList(
            conv(ndim, 2 * n_channels, n_channels, 1) for _ in range(n_levels - 1)
        )
        self.decode = nn.ModuleList(
            residual_blocks(ndim, n_channels, n_blocks) for _ in range(n_levels)
        )
        self.expand = (
            upsample(ndim, n_channels, n_channels // 2)
            if stem_stride == 2
            else conv(ndim, n_channels, n_channels // 2)
        )
        self.out = nn.Sequential(
            nn.SiLU(),
            conv(ndim, n_channels // 2, n_channels // 2),
            nn.SiLU(),
            conv(ndim, n_channels // 2, n_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return an image of the size of `x`, shape (n, out, *spatial)."""
        h = self.stem(x)
        skips = []
        for i, blocks in enumerate(self.encode):
            h = blocks(h)
            skips.append(h)
            if i < len(self.down):
                h = self.down[i](h)
        h = self.decode[-1](h)
        for i in reversed(range(len(self.up))):
            h = self.merge[i](torch.cat([self.up[i](h), skips[i]], 1))
            h = self.decode[i](h)
        return self.out(self.expand(h))
