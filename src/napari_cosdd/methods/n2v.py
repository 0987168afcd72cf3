"""Noise2Void with point masks, and structured Noise2Void with line masks.

Krull et al., "Noise2Void", CVPR 2019; Broaddus et al., "Removing structured noise
with self-supervised blind-spot networks", ISBI 2020.
"""

from itertools import product
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.methods import papers
from napari_cosdd.methods.base import (
    AXES_IN_WORDS,
    Batch,
    Losses,
    Method,
    MethodConfig,
)
from napari_cosdd.methods.papers import Paper
from napari_cosdd.nets.unet import UNet

#: Largest distance of the pixel whose value replaces a masked one.
NEIGHBOURHOOD = 2


class Noise2VoidConfig(MethodConfig):
    """The mask and the size of the U-Net."""

    half_length: int = Field(
        default=4,
        ge=1,
        le=4096,
        title="Mask half-length",
        description="Pixels masked on each side along the noise axis; a number "
        "larger than the image masks whole lines. Unused for noise axis none",
        json_schema_extra={"unit": "px"},
    )
    masked: float = Field(
        default=0.02,
        gt=0,
        le=0.2,
        title="Targets",
        description="Share of pixels that are targets; fewer where lines are masked",
    )
    n_channels: int = Field(
        default=32, ge=4, le=512, title="Channels", description="Features of a layer"
    )
    n_levels: int = Field(
        default=4, ge=1, le=8, title="Levels", description="Resolutions of the U-Net"
    )
    n_blocks: int = Field(
        default=1, ge=1, le=8, title="Blocks", description="Residual blocks of a level"
    )
    stem_stride: int = Field(
        default=2,
        ge=1,
        le=2,
        title="Stem stride",
        description="2 works from half resolution down: 4 times faster",
    )


class Noise2Void(Method):
    """Predict pixels from their surroundings, which carry none of their noise.

    A point mask hides the pixel only and so assumes independent noise; a line mask
    (SN2V) also hides the neighbours whose noise is related.
    """

    title = "Noise2Void"
    config: Noise2VoidConfig
    Config = Noise2VoidConfig
    presets: ClassVar = {
        "quick": {"method": {}, "training": {}},
        "point": {"method": {"noise_axis": "none"}, "training": {}},
    }

    def __init__(self, config: Noise2VoidConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.config = config
        self.net = UNet(
            spec.ndim,
            spec.n_channels,
            spec.n_channels,
            n_channels=config.n_channels,
            n_levels=config.n_levels,
            n_blocks=config.n_blocks,
            stem_stride=config.stem_stride,
        )

    def losses(
        self, batch: Batch, generator: torch.Generator, progress: float = 1.0
    ) -> Losses:
        """Return the squared error at the targets, whose line is hidden."""
        x = batch.x
        targets, hidden = self._mask(x, generator)
        blind = torch.where(hidden, _neighbours(x, self._steps(), generator), x)
        error = (self.net(blind).float() - x).square()
        loss = (error * targets).sum() / (targets.sum() * x.shape[1]).clamp(min=1)
        return Losses({"masked_mse": loss}, {})

    def estimate(self, x: Tensor) -> Tensor:
        """Return the U-Net's estimate of the signal."""
        return self.net(x)

    def tile_multiple(self) -> tuple[int, ...]:
        """Return the stride of the lowest resolution."""
        return self.net.multiple

    def describe(self) -> str:
        """Name the mask."""
        if self.noise_dim is None:
            return "Noise2Void with point masks"
        return (
            f"structured Noise2Void, {self.config.half_length} px masked on each "
            f"side along {self.config.noise_axis}"
        )

    @property
    def noise_reach(self) -> int:
        """Pixels on each side along the noise axis that the mask hides."""
        return 0 if self.noise_dim is None else self.config.half_length

    def papers(self) -> tuple[Paper, ...]:
        """Return the paper of the method, and that of line masks."""
        return (papers.N2V,) if self.noise_dim is None else (papers.N2V, papers.SN2V)

    def networks_in_words(self) -> str:
        """Describe network and masks in a sentence."""
        axis = AXES_IN_WORDS.get(self.config.noise_axis)
        masks = f"lines along {axis}" if axis else "points"
        return f"A U-Net was trained to predict masked pixels; the masks were {masks}."

    def _mask(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return targets and hidden pixels, each (n, 1, *spatial), boolean."""
        reach = [0] * self.spec.ndim
        if self.noise_dim is not None:
            length = x.shape[self.noise_dim + 2]
            reach[self.noise_dim] = min(self.config.half_length, length - 1)
        share = min(self.config.masked, 0.2 / (2 * max(reach) + 1))
        shape = (x.shape[0], 1, *x.shape[2:])
        random = torch.rand(shape, generator=generator, device=x.device)
        targets = (random < share) | (random == random.amin())  # at least one
        pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[self.spec.ndim]
        size = tuple(2 * r + 1 for r in reach)
        hidden = pool(_padded(targets.float(), reach), size, stride=1) > 0
        return targets, hidden

    def _steps(self) -> Tensor:
        """Return where values for hidden pixels may come from, (n, ndim).

        Not from the line that is hidden: its noise is related to the target's. Where
        there are lines only, from beyond what is hidden.
        """
        near = range(-NEIGHBOURHOOD, NEIGHBOURHOOD + 1)
        steps = [
            step
            for step in product(near, repeat=self.spec.ndim)
            if any(s for axis, s in enumerate(step) if axis != self.noise_dim)
        ]
        if not steps:
            hidden = 2 * self.config.half_length  # from one end of a line to the other
            steps = [(sign * (hidden + s),) for s in near if s > 0 for sign in (-1, 1)]
        return torch.tensor(steps)


def _padded(mask: Tensor, reach: list[int]) -> Tensor:
    return F.pad(mask, [r for side in reversed(reach) for r in (side, side)])


def _neighbours(x: Tensor, steps: Tensor, generator: torch.Generator) -> Tensor:
    """Return for every pixel the value of another one, one of `steps` away.

    What lies beyond the image is taken from as far on the other side.
    """
    shape = (x.shape[0], *x.shape[2:])
    choice = torch.randint(len(steps), shape, generator=generator, device=x.device)
    chosen = steps.to(x.device)[choice]
    flat = torch.zeros_like(choice)
    for axis, length in enumerate(shape[1:]):
        along = [-1 if a == axis else 1 for a in range(len(shape) - 1)]
        here, step = torch.arange(length, device=x.device), chosen[..., axis]
        at = here.reshape(along) + step
        at = torch.where((at < 0) | (at > length - 1), at - 2 * step, at)
        flat = flat * length + at.clamp(0, length - 1)
    index = flat.flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(2, index).reshape(x.shape)
