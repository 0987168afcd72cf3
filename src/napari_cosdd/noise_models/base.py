"""The interface of a noise model: p(x | s)."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from napari_cosdd.settings.fields import Settings


class NoiseModelConfig(Settings):
    """The settings that, with its tensors, rebuild a noise model.

    Attributes
    ----------
    signal_range : (float, float)
        Lowest and highest measured signal, grey levels.
    """

    signal_range: tuple[float, float] = Field(
        title="Signal range",
        description="Lowest and highest signal that was measured",
        json_schema_extra={"unit": "grey levels"},
    )

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        low, high = self.signal_range
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError("expected a finite, non-empty range of signals")
        return self


class NoiseModel(nn.Module, ABC):
    """The distribution of a noisy pixel x, given the signal s, both in grey levels.

    Grey levels make one model valid for images of any normalization. All channels share
    one distribution. The tensors do not change after the measurement.

    `x` and `s` are broadcast against each other.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    #: Whether pixels are independent of each other, given the signal.
    is_independent: ClassVar[bool] = True
    #: Whether the distribution of the noise depends on the signal.
    depends_on_signal: ClassVar[bool] = True
    Config: ClassVar[type[NoiseModelConfig]]
    config: NoiseModelConfig

    @classmethod
    @abstractmethod
    def fit(
        cls,
        signal: NDArray[Any],
        noisy: NDArray[Any],
        rng: np.random.Generator,
        step: float = 0.0,
    ) -> "NoiseModel":
        """Measure the model on pairs of signal and noisy pixel.

        Parameters
        ----------
        signal, noisy : ndarray, equal shapes
            Grey levels; images (..., y, x) for a model of dependent pixels.
        rng : numpy.random.Generator
            Source of randomness.
        step : float
            Distance of the detector's grey levels; 0 for a continuum.
        """

    @abstractmethod
    def log_prob(self, x: Tensor, s: Tensor) -> Tensor:
        """Return log p(x | s), nats; p is a density per grey level."""

    @abstractmethod
    def sample(self, s: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy pixel for each signal, shape of `s`."""

    @abstractmethod
    def cdf(self, x: Tensor, s: Tensor) -> Tensor:
        """Return P(X <= x | s)."""

    @property
    def words(self) -> str:
        """The kind in words, and how it was obtained if not measured."""
        return self.title

    @property
    def signal_range(self) -> tuple[float, float]:
        """Lowest and highest signal that was measured, grey levels."""
        return self.config.signal_range
