"""A noise model of additive noise that runs along an axis, whatever the signal.

Autonoise: a causal network that is trained on samples of pure noise and then serves,
fixed, as the likelihood of x - s (Salmon & Krull, "Towards Structured Noise Models for
Unsupervised Denoising", ECCV workshops 2022).
"""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from napari_cosdd.distributions.mixture import GaussianMixture
from napari_cosdd.errors import BadInputError
from napari_cosdd.nets.ancestral import sample_decoder
from napari_cosdd.nets.autoregressive import AutoregressiveDecoder, layers_for
from napari_cosdd.noise_analysis.autocorrelation import MAX_LAG, autocorrelation
from napari_cosdd.noise_analysis.facts import facts_of
from napari_cosdd.noise_models.base import NoiseModel, NoiseModelConfig
from napari_cosdd.random_state import own_random_state

#: Steps of the fit.
STEPS = 800
#: First learning rate of the fit.
RATE = 0.005
#: Rows in each step.
ROWS = 64
#: Pixels of a row in each step.
LENGTH = 256
#: Smallest deviation of a Gaussian, in deviations of the noise.
FLOOR = 0.01
#: Largest number of planes in which the correlation is measured.
PLANES = 32


class AutoregressiveConfig(NoiseModelConfig):
    """The axis of the noise and the sizes of the network."""

    axis: Literal["x", "y"]
    receptive_field: int = Field(ge=1, le=512)
    n_channels: int = Field(default=32, ge=1, le=512)
    n_components: int = Field(default=5, ge=1, le=32)
    #: Deviation of the noise, grey levels.
    scale: float = Field(gt=0, allow_inf_nan=False)


class AutoregressiveNoise(NoiseModel):
    """Π_i p(n_i | earlier n along the axis) of the noise n = x - s.

    Each p is a mixture of Gaussians. The distribution is the same at every signal.

    Parameters
    ----------
    config : AutoregressiveConfig
        Axis and sizes.
    """

    kind = "autoregressive"
    title = "autoregressive, signal-independent"
    is_independent = False
    depends_on_signal = False
    Config = AutoregressiveConfig
    config: AutoregressiveConfig

    def __init__(self, config: AutoregressiveConfig) -> None:
        super().__init__()
        self.config = config
        # The code of the decoder is not used: its one channel stays zero.
        self.decoder = AutoregressiveDecoder(
            ndim=2,
            axis=1,
            n_image_channels=1,
            n_code=1,
            n_channels=config.n_channels,
            n_layers=layers_for(config.receptive_field),
            n_components=config.n_components,
            receptive_field=config.receptive_field,
        )
        self.requires_grad_(False)

    @classmethod
    def fit(
        cls,
        signal: NDArray[Any],
        noisy: NDArray[Any],
        rng: np.random.Generator,
        step: float = 0.0,
    ) -> "AutoregressiveNoise":
        """Train on the noise of images, (..., y, x), by maximum likelihood.

        Raises
        ------
        BadInputError
            If the noise is correlated along both axes, or these cannot be told apart.
        """
        noise = np.asarray(noisy, np.float64) - signal
        planes = noise.reshape(-1, *noise.shape[-2:])
        lag = min(MAX_LAG, min(planes.shape[1:]) // 2 - 2)
        facts = facts_of(autocorrelation(list(planes[:PLANES]), lag))
        if not facts.is_clear:
            raise BadInputError(
                "an autoregressive noise model is for noise along one axis. "
                f"{facts.sentence}"
            )
        axis: Literal["x", "y"] = "y" if facts.axis == "y" else "x"
        config = AutoregressiveConfig(
            signal_range=_range(np.asarray(signal)),
            axis=axis,
            receptive_field=max(1, facts.receptive_field),
            scale=float(noise.std()),
        )
        with own_random_state(int(rng.integers(2**31))):
            model = cls(config)
        rows = planes if axis == "x" else planes.swapaxes(1, 2)
        model._train(rows.reshape(-1, rows.shape[-1]) / config.scale, rng)
        return model

    def _train(self, rows: NDArray[np.float64], rng: np.random.Generator) -> None:
        """Train the network on rows of noise of unit variance."""
        self.requires_grad_(True)
        with torch.enable_grad():
            optimizer = torch.optim.Adam(self.parameters(), RATE)
            length = min(LENGTH, rows.shape[1])
            for step in range(STEPS):
                chosen = rng.integers(0, len(rows), ROWS)
                first = int(rng.integers(0, rows.shape[1] - length + 1))
                some = rows[chosen, first : first + length].astype(np.float32)
                x = torch.from_numpy(some)[None, None]
                optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
                optimizer.zero_grad()
                loss = -self._mixture(x).log_prob(x).mean()
                loss.backward()
                optimizer.step()
        self.requires_grad_(False)
        self.zero_grad()

    def log_prob(self, x: Tensor, s: Tensor) -> Tensor:
        """Return log p(x_i | s, earlier x along the axis), nats."""
        rows, shape = self._rows(x - s)
        found = self._mixture(rows).log_prob(rows) - float(np.log(self.config.scale))
        return self._unrows(found, shape)

    def sample(self, s: Tensor, generator: torch.Generator) -> Tensor:
        """Return signal and noise, drawn pixel after pixel along the axis."""
        rows, shape = self._rows(s)
        noise = sample_decoder(self.decoder, torch.zeros_like(rows), FLOOR, generator)
        return s + self.config.scale * self._unrows(noise, shape)

    def cdf(self, x: Tensor, s: Tensor) -> Tensor:
        """Return P(X_i <= x_i | s, earlier x along the axis)."""
        rows, shape = self._rows(x - s)
        return self._unrows(self._mixture(rows).cdf(rows), shape)

    def _mixture(self, rows: Tensor) -> GaussianMixture:
        """Return p of each pixel of rows (1, 1, rows, length), unit variance."""
        location, parameters = self.decoder(rows, torch.zeros_like(rows))
        return GaussianMixture.from_parameters(location, parameters, FLOOR)

    def _rows(self, noise: Tensor) -> tuple[Tensor, torch.Size]:
        """Return noise in its deviations as (1, 1, rows, length), and the shape."""
        moved = (noise / self.config.scale).movedim(self._axis, -1)
        return moved.reshape(1, 1, -1, moved.shape[-1]), moved.shape

    def _unrows(self, rows: Tensor, shape: torch.Size) -> Tensor:
        return rows.reshape(shape).movedim(-1, self._axis)

    @property
    def _axis(self) -> int:
        return -1 if self.config.axis == "x" else -2


def _range(signal: NDArray[Any]) -> tuple[float, float]:
    """Return the range of the signal, widened if there is none."""
    low, high = float(signal.min()), float(signal.max())
    return (low, high) if low < high else (low - 1, high + 1)
