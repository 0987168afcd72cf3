"""A noise model as a mixture of Gaussians whose parameters depend on the signal.

Prakash et al., "Leveraging Self-supervised Denoising for Image Segmentation", ISBI
2020: three Gaussians; weights, means and variances are polynomials in the signal. Here
two more Gaussians stay in place: a detector gives the same grey level to all pixels
without a photon, and another to all saturated ones.
"""

import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from napari_cosdd.distributions.mixture import HALF_LOG_2PI
from napari_cosdd.errors import BadInputError
from napari_cosdd.noise_models.base import NoiseModel, NoiseModelConfig
from napari_cosdd.noise_models.dark_level import dark_level

#: Pairs that a fit uses: half of them at random, half even over bins of the signal.
PAIRS = 30_000
#: Number of these bins.
SIGNAL_BINS = 64
#: Restarts of L-BFGS, which leave the valleys in which its line search ends.
STARTS = 6
#: Largest number of steps from one restart to the next.
STEPS = 100
#: Smallest deviation of a Gaussian, relative to the deviation of all noise.
FLOOR = 0.02
#: Share of the highest noisy pixels, which may be saturated.
BRIGHTEST = 1e-4
#: First log weight of the Gaussians that stay in place.
FIRST_LOG_WEIGHT = -2.0
#: Lowest weight of all others.
LEAST_MOVING = 1e-3
#: Keeps the slope of the square root finite at the lowest signal.
SQRT_FLOOR = 1e-3


class MixtureConfig(NoiseModelConfig):
    """Sizes and units of the mixture."""

    n_components: int = Field(default=3, ge=1, le=32)
    n_coefficients: int = Field(default=3, ge=1, le=8)
    #: Grey levels at which Gaussians stay in place, and how far they may be off.
    ends: tuple[FiniteFloat, ...] = Field(default=(), max_length=2)
    end_spread: float = Field(default=1.0, gt=0)
    #: Deviation of all noise, and smallest deviation of a Gaussian, grey levels.
    scale: float = Field(gt=0)
    floor: float = Field(gt=0)
    #: Whether it is learned along with a denoiser, and not measured beforehand.
    learned: bool = False


class MixtureNoise(NoiseModel):
    """Σ_k α_k(s) N(x; μ_k(s), σ_k²(s)) with Σ_k α_k μ_k = s.

    The first Gaussians are those of `config.ends`: their μ and σ are constants. The
    polynomials are in the signal t, from 0 to 1 over its range: 1, t, t², …; the last
    of three or more powers is √t, since noise changes most in the dark.

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
    end_weights: Tensor
    end_gaussians: Tensor

    def __init__(self, config: MixtureConfig) -> None:
        super().__init__()
        self.config = config
        n, n_powers, n_ends = (
            config.n_components,
            config.n_coefficients,
            len(config.ends),
        )
        #: Polynomial coefficients of the log weights, the variances before softplus
        #: and the shifts, (3, k, powers).
        self.register_buffer("coefficients", torch.zeros(3, n, n_powers))
        spread = torch.linspace(0, 1.5, n) if n > 1 else torch.tensor([0.5])
        self.coefficients[1, :, 0] = spread  # equal Gaussians would stay equal
        #: Coefficients of the log weights at the ends, (ends, powers).
        self.register_buffer("end_weights", torch.zeros(n_ends, n_powers))
        self.end_weights[:, 0] = FIRST_LOG_WEIGHT
        #: Shifts from `config.ends` and log deviations, before tanh, (2, ends).
        self.register_buffer("end_gaussians", torch.zeros(2, n_ends))

    def learned_along(self) -> Self:
        """Return a copy whose coefficients are parameters of a training."""
        copy = type(self)(self.config)
        for name, values in self.state_dict().items():
            delattr(copy, name)
            copy.register_parameter(name, nn.Parameter(values.detach().clone()))
        return copy

    @classmethod
    def fit(
        cls,
        signal: NDArray[Any],
        noisy: NDArray[Any],
        rng: np.random.Generator,
        step: float = 0.0,
    ) -> "MixtureNoise":
        """Fit by maximum likelihood with L-BFGS."""
        s, x = (np.asarray(a, np.float64).ravel() for a in (signal, noisy))
        noise = x - s
        # The median absolute deviation is robust against outliers.
        scale = float(stats.median_abs_deviation(noise, scale="normal"))
        scale = scale or float(noise.std()) or 1.0
        low, high = float(s.min()), float(s.max())
        if low == high:
            low, high = low - scale, high + scale
        floor = max(FLOOR * scale, step / math.sqrt(12))
        dark = dark_level(s, x)
        config = MixtureConfig(
            signal_range=(low, high),
            scale=scale,
            floor=floor,
            ends=(dark.level, float(np.quantile(x, 1 - BRIGHTEST))),
            end_spread=max(dark.spread, step, floor),
        )
        chosen = _pairs(s, (low, high), rng)
        # Whole grey levels are dithered, or narrow Gaussians would sit on each.
        dither = rng.uniform(-step / 2, step / 2, chosen.size)
        pairs = x[chosen] + dither, s[chosen]
        x_fit, s_fit = (torch.from_numpy(a) for a in pairs)
        # In single precision the line search ends far from the optimum.
        model = cls(config).double().learned_along()
        for _ in range(STARTS):
            _maximize(model, x_fit, s_fit)
        if not all(bool(values.isfinite().all()) for values in model.parameters()):
            raise BadInputError(
                "the mixture could not be fitted to the noise: are there pixels far "
                "outside of all others, such as a value for missing ones?"
            )
        fitted = cls(config)
        fitted.load_state_dict(model.state_dict())
        return fitted

    @property
    def words(self) -> str:
        """The kind in words, and whether it was learned along."""
        return f"{self.title}, learned along" if self.config.learned else self.title

    def log_prob(self, x: Tensor, s: Tensor) -> Tensor:
        """Return log p(x | s), nats."""
        x, s = torch.broadcast_tensors(x, s)
        log_weights, mean, deviation = self._gaussians(s)
        standardized = (x.unsqueeze(0) - mean) / deviation
        terms = log_weights - torch.log(deviation) - 0.5 * standardized.square()
        return torch.logsumexp(terms, 0) - HALF_LOG_2PI

    def sample(self, s: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy pixel for each signal, from one random Gaussian."""
        log_weights, mean, deviation = self._gaussians(s)
        uniform = torch.rand(log_weights.shape, generator=generator, device=s.device)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-7)))
        choice = (log_weights + gumbel).argmax(0, keepdim=True)
        noise = torch.randn(s.shape, generator=generator, device=s.device)
        mean, deviation = (a.gather(0, choice)[0] for a in (mean, deviation))
        return mean + deviation * noise

    def cdf(self, x: Tensor, s: Tensor) -> Tensor:
        """Return P(X <= x | s)."""
        x, s = torch.broadcast_tensors(x, s)
        log_weights, mean, deviation = self._gaussians(s)
        below = torch.special.ndtr((x.unsqueeze(0) - mean) / deviation)
        return (log_weights.exp() * below).sum(0)

    def _gaussians(self, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights, means and deviations, each (ends + k, *shape of s)."""
        config = self.config
        low, high = self.signal_range
        t = ((s - low) / (high - low)).clamp(0, 1)  # constant outside the range
        roots = [torch.sqrt(t + SQRT_FLOOR)] if config.n_coefficients > 2 else []
        whole = [t**k for k in range(config.n_coefficients - len(roots))]
        powers = torch.stack(whole + roots)
        with torch.autocast(s.device.type, enabled=False):  # likelihoods need float32
            curves = torch.einsum("akp,p...->ak...", self.coefficients, powers)
            end_logits = torch.einsum("ep,p...->e...", self.end_weights, powers)
        logits, raw, shift = curves
        log_weights = torch.log_softmax(torch.cat([end_logits, logits]), 0)
        n_ends = len(config.ends)
        ends, end_deviation = self._ends(s)
        # The weighted mean of all Gaussians is the signal.
        weights = log_weights.exp()
        moving = weights[n_ends:]
        total = moving.sum(0).clamp(min=LEAST_MOVING)
        rest = (s - (weights[:n_ends] * ends).sum(0)) / total
        mean = rest + config.scale * (shift - (moving * shift).sum(0) / total)
        return (
            log_weights,
            torch.cat([ends, mean]),
            torch.cat([end_deviation, self._deviation(raw)]),
        )

    def _ends(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and deviations of the Gaussians in place, (ends, *shape)."""
        spread = self.config.end_spread
        shift, log_deviation = torch.tanh(self.end_gaussians)
        at = s.new_tensor(self.config.ends) + spread * shift
        wide = spread * torch.exp(log_deviation)
        shape = (len(at), *s.shape)
        at, wide = (a.reshape(-1, *(1,) * s.ndim).expand(shape) for a in (at, wide))
        return at, wide

    def _deviation(self, raw: Tensor) -> Tensor:
        # softplus is linear for large values, as the variance of shot noise is.
        variance = self.config.scale**2 * F.softplus(raw)
        return torch.sqrt(variance + self.config.floor**2)


def _pairs(
    s: NDArray[np.float64], ends: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return positions of the pairs to fit: at random, and even over the signals.

    p(x | s) does not depend on how often each signal occurs, and rare bright signals
    matter as much as a dark background.
    """
    low, high = ends
    bins = np.minimum((s - low) * (SIGNAL_BINS / (high - low)), SIGNAL_BINS - 1)
    bins = bins.astype(np.int64)
    share = 1 / np.bincount(bins, minlength=SIGNAL_BINS)[bins]
    cumulative = np.cumsum(share)
    drawn = rng.uniform(0, cumulative[-1], PAIRS // 2)
    even = np.searchsorted(cumulative, drawn).clip(max=s.size - 1)
    return np.concatenate([rng.integers(0, s.size, PAIRS // 2), even])


def _maximize(model: MixtureNoise, x: Tensor, s: Tensor) -> None:
    """Take some steps of L-BFGS towards the largest likelihood."""
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=STEPS,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = -model.log_prob(x, s).mean()
        value.backward()
        return value

    optimizer.step(loss)
