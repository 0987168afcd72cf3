"""Gaussians with a diagonal covariance, as every level of the latents has."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SCALE_FLOOR = 0.01


@dataclass(frozen=True, slots=True)
class DiagonalGaussian:
    """A normal density per element.

    Attributes
    ----------
    loc, scale : Tensor, equal shapes
        Mean and standard deviation. Scales have a floor, so that neither the
        density nor its gradient can become infinite.
    """

    loc: Tensor
    scale: Tensor

    @classmethod
    def from_channels(cls, channels: Tensor) -> "DiagonalGaussian":
        """Split (n, 2 c, *spatial) into means and positive scales, in float32."""
        loc, raw = channels.float().chunk(2, dim=1)
        # softplus(0.54) = 1: zero weights give a deviation of 1 and the floor.
        return cls(loc, F.softplus(raw + 0.5413) + SCALE_FLOOR)

    def rsample(self, noise: Tensor) -> Tensor:
        """Return a draw, differentiable in loc and scale, from standard normals."""
        return self.loc + self.scale * noise

    def kl(self, p: "DiagonalGaussian") -> Tensor:
        """Return KL(self ‖ p) per element, in nats."""
        ratio = self.scale / p.scale
        shift = (self.loc - p.loc) / p.scale
        return 0.5 * (ratio.square() + shift.square() - 1) - torch.log(ratio)
