"""A noise model of photons and readout: Gaussian, its variance linear in the signal.

It is fitted to pairs of signal and pixel, or to the variance at levels of the signal,
which is measured on a noisy image alone: no calibration frames are needed.
"""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from napari_cosdd.distributions.mixture import HALF_LOG_2PI
from napari_cosdd.errors import BadInputError
from napari_cosdd.noise_models.base import NoiseModel, NoiseModelConfig

#: Levels of the signal in a fit to pairs.
LEVELS = 64
#: Smallest variance, relative to the largest.
FLOOR = 1e-4
#: Smallest variance, relative to the lowest one that was measured: a line that is too
#: steep would say that the background has no noise.
LOWEST = 0.5


class PoissonGaussConfig(NoiseModelConfig):
    """Gain and readout: σ²(s) = gain · s + readout, at least `floor`."""

    gain: float = Field(ge=0, allow_inf_nan=False)
    readout: float = Field(allow_inf_nan=False)
    floor: float = Field(gt=0, allow_inf_nan=False)


class PoissonGaussNoise(NoiseModel):
    """N(x; s, gain · s + readout), grey levels."""

    kind = "poisson_gauss"
    title = "Poisson and Gauss"
    Config = PoissonGaussConfig
    config: PoissonGaussConfig
    law: Tensor

    def __init__(self, config: PoissonGaussConfig) -> None:
        super().__init__()
        self.config = config
        law = torch.tensor([config.gain, config.readout, config.floor])
        self.register_buffer("law", law)

    @classmethod
    def fit(
        cls,
        signal: NDArray[Any],
        noisy: NDArray[Any],
        rng: np.random.Generator,
        step: float = 0.0,
    ) -> "PoissonGaussNoise":
        """Fit a line to the variances at levels of the signal."""
        s, x = (np.asarray(a, np.float64).ravel() for a in (signal, noisy))
        groups = np.array_split(np.argsort(s, kind="stable"), LEVELS)
        means = [
            (s[some].mean(), np.square(x[some] - s[some]).mean()) for some in groups
        ]
        level, variance = np.array(means).T
        found = cls.of_curve(level, variance)
        ends = (float(s.min()), float(s.max()))
        ends = ends if ends[0] < ends[1] else found.signal_range
        return cls(found.config.model_copy(update={"signal_range": ends}))

    @classmethod
    def of_curve(cls, signal: NDArray[Any], variance: NDArray[Any]) -> Self:
        """Fit to variances at levels of the signal, as the noise analysis gives them.

        Raises
        ------
        BadInputError
            If there are fewer than two levels, or no noise.
        """
        if len(signal) < 2 or not np.any(variance > 0):
            raise BadInputError(
                "the image shows noise at fewer than two levels of the signal"
            )
        least = FLOOR * variance.max()
        usual = np.maximum(variance, least)
        floor = max(least, LOWEST * float(variance.min()))
        return cls._of(*_line(signal, variance, 1 / usual**2), signal, floor)

    @classmethod
    def _of(
        cls, gain: float, readout: float, signal: NDArray[Any], floor: float
    ) -> Self:
        low, high = float(signal.min()), float(signal.max())
        if low == high:
            low, high = low - 1, high + 1
        if gain < 0:  # no camera; then the mean variance serves
            gain, readout = 0.0, readout + gain * float(signal.mean())
        most = max(gain * low + readout, gain * high + readout)
        if not most > 0:
            raise BadInputError("the noise has no variance that a camera could have")
        config = PoissonGaussConfig(
            signal_range=(low, high), gain=gain, readout=readout, floor=floor
        )
        return cls(config)

    def _deviation(self, s: Tensor) -> Tensor:
        gain, readout, floor = self.law.to(s.dtype).unbind()
        return torch.sqrt(torch.maximum(gain * s + readout, floor))

    def log_prob(self, x: Tensor, s: Tensor) -> Tensor:
        """Return log p(x | s), nats."""
        deviation = self._deviation(s)
        standardized = (x - s) / deviation
        return -0.5 * standardized.square() - torch.log(deviation) - HALF_LOG_2PI

    def sample(self, s: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy pixel for each signal."""
        noise = torch.randn(s.shape, generator=generator, device=s.device)
        return s + self._deviation(s) * noise

    def cdf(self, x: Tensor, s: Tensor) -> Tensor:
        """Return P(X <= x | s)."""
        return torch.special.ndtr((x - s) / self._deviation(s))


def _line(
    s: NDArray[Any], values: NDArray[Any], weight: NDArray[Any]
) -> tuple[float, float]:
    """Return slope and offset of the weighted least-squares line."""
    total = weight.sum()
    middle, mean = (weight * s).sum() / total, (weight * values).sum() / total
    spread = (weight * (s - middle) ** 2).sum()
    slope = (weight * (s - middle) * (values - mean)).sum() / spread if spread else 0.0
    return float(slope), float(mean - slope * middle)
