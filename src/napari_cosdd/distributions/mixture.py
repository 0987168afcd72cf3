"""Mixtures of Gaussians, one per pixel and channel: the likelihood p(x | z)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True, slots=True)
class GaussianMixture:
    """A mixture along axis 2 of (n, c, components, *rest).

    Attributes
    ----------
    logits, loc, scale : Tensor, equal shapes
        Unnormalized log-weights, means and standard deviations.
    """

    logits: Tensor
    loc: Tensor
    scale: Tensor

    @classmethod
    def from_parameters(
        cls, location: Tensor, parameters: Tensor, floor: float | Tensor
    ) -> "GaussianMixture":
        """Build from (n, c, *rest) locations and (n, c, 3, components, *rest).

        Parameters
        ----------
        location, parameters : Tensor
            As the autoregressive decoder gives them.
        floor : float or Tensor of shape (c, 1, 1, 1)
            Smallest standard deviation, normalized units. Without it the density
            of pixels with equal values (dark, saturated, quantized) is unbounded.
        """
        logits, offset, raw = parameters.float().unbind(2)
        scale = F.softplus(raw) + floor
        return cls(logits, location.float().unsqueeze(2) + offset, scale)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x), nats, for x of shape (n, c, *rest)."""
        standardized = (x.float().unsqueeze(2) - self.loc) / self.scale
        terms = self.logits - torch.log(self.scale) - 0.5 * standardized.square()
        normalizer = torch.logsumexp(self.logits, 2)
        return torch.logsumexp(terms, 2) - normalizer - HALF_LOG_2PI

    def cdf(self, x: Tensor) -> Tensor:
        """Return P(X <= x) for x of shape (n, c, *rest)."""
        standardized = (x.float().unsqueeze(2) - self.loc) / self.scale
        return (self.logits.softmax(2) * torch.special.ndtr(standardized)).sum(2)

    def mean(self) -> Tensor:
        """Return E[x], shape (n, c, *rest)."""
        return (self.logits.softmax(2) * self.loc).sum(2)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Return a draw of shape (n, c, *rest)."""
        uniform = torch.rand(
            self.logits.shape, generator=generator, device=self.logits.device
        )
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-7)))
        choice = (self.logits + gumbel).argmax(2, keepdim=True)
        loc = self.loc.gather(2, choice).squeeze(2)
        scale = self.scale.gather(2, choice).squeeze(2)
        return loc + scale * torch.randn(
            loc.shape, generator=generator, device=loc.device
        )
