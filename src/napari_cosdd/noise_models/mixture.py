"""A noise model as a mixture of Gaussians whose parameters depend on the signal.

Prakash et al., "Leveraging Self-supervised Denoising for Image Segmentation", ISBI
2020: three Gaussians; weights, means and variances are polynomials in the signal.
"""

import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from napari_cosdd.distributions.mixture import HALF_LOG_2PI
from napari_cosdd.noise_models.base import NoiseModel, NoiseModelConfig

#: Number of steps, pairs per step and first learning rate of the fit.
STEPS, BATCH, RATE = 1500, 20_000, 0.05
#: Largest number of pairs that the fit draws from.
MOST = 2_000_000
#: Smallest deviation of a Gaussian, relative to the deviation of all noise.
FLOOR = 0.02


class MixtureConfig(NoiseModelConfig):
    """Sizes and units of the mixture."""

    n_components: int = Field(default=3, ge=1, le=32)
    n_coefficients: int = Field(default=2, ge=1, le=8)
    #: Deviation of all noise, and smallest deviation of a Gaussian, grey levels.
    scale: float = Field(gt=0)
    floor: float = Field(gt=0)
    #: Whether it is learned along with a denoiser, and not measured beforehand.
    learned: bool = False


class MixtureNoise(NoiseModel):
    """Σ_k α_k(s) N(x; μ_k(s), σ_k²(s)) with Σ_k α_k μ_k = s.

    Parameters
    ----------
    config : MixtureConfig
        Number of Gaussians and of polynomial coefficients.
    """

    kind = "mixture"
    title = "mixture of Gaussians"
    Config = MixtureConfig
    config: MixtureConfig
    coefficients: Tensor

    def __init__(self, config: MixtureConfig) -> None:
        super().__init__()
        self.config = config
        n, n_powers = config.n_components, config.n_coefficients
        #: Polynomial coefficients of the log weights, the variances before softplus
        #: and the shifts, (3, k, powers).
        self.register_buffer("coefficients", torch.zeros(3, n, n_powers))
        spread = torch.linspace(0, 1.5, n) if n > 1 else torch.tensor([0.5])
        self.coefficients[1, :, 0] = spread  # equal Gaussians would stay equal

    def learned_along(self) -> Self:
        """Return a copy whose coefficients are parameters of a training."""
        copy = type(self)(self.config)
        coefficients = self.coefficients.detach().clone()
        del copy.coefficients
        copy.register_parameter("coefficients", nn.Parameter(coefficients))
        return copy

    @classmethod
    def fit(
        cls, signal: NDArray[Any], noisy: NDArray[Any], rng: np.random.Generator
    ) -> "MixtureNoise":
        """Fit by maximum likelihood with Adam."""
        s, x = (np.asarray(a, np.float64).ravel() for a in (signal, noisy))
        if s.size > MOST:
            some = rng.integers(0, s.size, MOST)
            s, x = s[some], x[some]
        # The median absolute deviation is robust against outliers.
        scale = 1.4826 * float(np.median(np.abs(x - s - np.median(x - s))))
        scale = scale or float((x - s).std()) or 1.0
        step = 1.0 if np.asarray(noisy).dtype.kind in "ui" else 0.0
        low, high = float(s.min()), float(s.max())
        if low == high:
            low, high = low - scale, high + scale
        floor = max(FLOOR * scale, step / math.sqrt(12))
        model = cls(MixtureConfig(signal_range=(low, high), scale=scale, floor=floor))
        coefficients = model.coefficients.clone().requires_grad_()
        optimizer = torch.optim.Adam([coefficients], RATE)
        for k in range(STEPS):
            chosen = rng.integers(0, s.size, min(BATCH, s.size))
            x_k, s_k = (torch.from_numpy(a[chosen].astype(np.float32)) for a in (x, s))
            optimizer.param_groups[0]["lr"] = RATE * (1 - k / STEPS)
            optimizer.zero_grad()
            loss = -model._log_prob(x_k, s_k, coefficients).mean()
            loss.backward()
            optimizer.step()
        model.coefficients.copy_(coefficients.detach())
        return model

    @property
    def words(self) -> str:
        """The kind in words, and whether it was learned along."""
        return f"{self.title}, learned along" if self.config.learned else self.title

    def log_prob(self, x: Tensor, s: Tensor) -> Tensor:
        """Return log p(x | s), nats."""
        return self._log_prob(x, s, self.coefficients)

    def _log_prob(self, x: Tensor, s: Tensor, coefficients: Tensor) -> Tensor:
        x, s = torch.broadcast_tensors(x, s)
        log_weights, mean, deviation = self._gaussians(s, coefficients)
        standardized = (x.unsqueeze(0) - mean) / deviation
        terms = log_weights - torch.log(deviation) - 0.5 * standardized.square()
        return torch.logsumexp(terms, 0) - HALF_LOG_2PI

    def sample(self, s: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy pixel for each signal, from one random Gaussian."""
        log_weights, mean, deviation = self._gaussians(s, self.coefficients)
        uniform = torch.rand(log_weights.shape, generator=generator, device=s.device)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-7)))
        choice = (log_weights + gumbel).argmax(0, keepdim=True)
        noise = torch.randn(s.shape, generator=generator, device=s.device)
        mean, deviation = (a.gather(0, choice)[0] for a in (mean, deviation))
        return mean + deviation * noise

    def cdf(self, x: Tensor, s: Tensor) -> Tensor:
        """Return P(X <= x | s)."""
        x, s = torch.broadcast_tensors(x, s)
        log_weights, mean, deviation = self._gaussians(s, self.coefficients)
        below = torch.special.ndtr((x.unsqueeze(0) - mean) / deviation)
        return (log_weights.exp() * below).sum(0)

    def _gaussians(
        self, s: Tensor, coefficients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights, means and deviations, each (k, *shape of s)."""
        low, high = self.signal_range
        t = ((s - low) / (high - low)).clamp(0, 1)  # constant outside the range
        powers = torch.stack([t**k for k in range(self.config.n_coefficients)])
        logits, raw, shift = torch.einsum("akp,p...->ak...", coefficients, powers)
        log_weights = torch.log_softmax(logits, 0)
        # softplus is linear for large values, as the variance of shot noise is.
        variance = self.config.scale**2 * F.softplus(raw)
        deviation = torch.sqrt(variance + self.config.floor**2)
        offset = shift - (log_weights.exp() * shift).sum(0)  # weighted mean zero
        return log_weights, s + self.config.scale * offset, deviation
