"""Probabilistic Noise2Void: a distribution of the signal, and the noise model.

Krull et al., "Probabilistic Noise2Void: Unsupervised Content-Aware Denoising",
Frontiers in Computer Science 2020 (arXiv 1906.00651).
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Curve
from napari_cosdd.methods.base import Preset
from napari_cosdd.methods.blind_spot import neighbours, some_points, steps_around
from napari_cosdd.methods.outputs import DEVIATION, MEAN, Output
from napari_cosdd.methods.unet_method import UNetConfig, UNetMethod
from napari_cosdd.methods.values import (
    NO_ASSETS,
    TRAINED,
    Assets,
    Batch,
    Losses,
    Needs,
    Paper,
    Stage,
    Suitability,
    weighted_mean,
)
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.registry import INDEPENDENT
from napari_cosdd.remedies import Remedy
from napari_cosdd.settings.training import TrainingConfig

PAPER = Paper(
    "A. Krull, T. Vicar, M. Prakash, M. Lalit and F. Jug, Probabilistic Noise2Void: "
    "Unsupervised Content-Aware Denoising, Frontiers in Computer Science 2020.",
    "10.3389/fcomp.2020.00005",
)
#: Mean of the predicted signals, which the pixel itself has no part in.
PRIOR_MEAN = Output("prior mean", "derived", "levels")
#: First range of the predicted signals, from -SPREAD to it, deviations of the image.
SPREAD = 0.7


class PN2VConfig(UNetConfig):
    """The U-Net, the number of signals, and the share of targets."""

    n_signals: int = Field(
        default=40,
        ge=2,
        le=2000,
        title="Signals",
        description="Values per pixel that represent the distribution of its signal, "
        "given its surroundings",
    )
    masked: float = Field(
        default=0.06,
        gt=0,
        le=0.2,
        title="Targets",
        description="Share of pixels that are targets",
    )


class PN2V(UNetMethod[PN2VConfig]):
    """Predicts signals of a pixel from its surroundings; the noise model weighs them.

    Objective: `nll` = -log (1/K) Σ_k p(x | s^k) at hidden pixels (equation 7), nats.
    The result is the mean of s^k with weights p(x | s^k) (MMSE, equation 11), and its
    deviation.
    """

    title = "Probabilistic Noise2Void"
    Config = PN2VConfig
    needs = Needs(noise_models=INDEPENDENT)
    presets: ClassVar = {
        "quick": Preset(
            PN2VConfig(), TrainingConfig(max_steps=6000), "a laptop, minutes"
        ),
        "paper": Preset(
            PN2VConfig(
                n_signals=800, n_channels=64, n_levels=4, stem_stride=1, masked=0.03125
            ),
            TrainingConfig(
                crop_size=96, batch_size=20, learning_rate=0.001, max_steps=20_000
            ),
            "a GPU, an hour",
        ),
    }
    tiny: ClassVar = {"n_channels": 8, "n_levels": 2, "n_signals": 6}

    def __init__(
        self, config: PN2VConfig, spec: DataSpec, assets: Assets = NO_ASSETS
    ) -> None:
        super().__init__(config, spec, assets)
        if assets.noise_model is None:
            raise BadInputError(
                "Probabilistic Noise2Void needs a noise model; measure one "
                f"({Remedy.CALIBRATE})"
            )
        #: Without them all signals would begin equal, and learn the same.
        self.offsets = nn.Parameter(torch.linspace(-SPREAD, SPREAD, config.n_signals))

    @property
    def n_out(self) -> int:
        """Number of signals of all channels."""
        return self.config.n_signals * self.spec.n_channels

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Noise that is independent from pixel to pixel, given the signal."""
        if facts.pattern == "independent" or facts.weak:
            return Suitability(
                2, "Probabilistic Noise2Void fits, with a noise model of the camera."
            )
        return Suitability(
            0,
            "Probabilistic Noise2Void takes noise as independent from pixel to pixel.",
        )

    @property
    def _noise(self) -> NoiseModel:
        if self.noise_model is None:
            raise RuntimeError("PN2V was built without a noise model")
        return self.noise_model

    # Training -------------------------------------------------------------------

    def signals(self, x: Tensor) -> Tensor:
        """Return the signals of each pixel, (n, k, c, *spatial), normalized."""
        n, c, *size = x.shape
        out = self.net(x).float().reshape(n, self.config.n_signals, c, *size)
        return out + self.offsets.reshape(1, -1, 1, *(1,) * len(size))

    def losses(
        self, batch: Batch, generator: torch.Generator, stage: Stage = TRAINED
    ) -> Losses:
        """Return the negative log-likelihood of hidden pixels."""
        x = batch.x
        points = some_points(x, self.config.masked, generator)
        targets = torch.zeros_like(x[:, 0]).flatten(1).scatter(1, points, 1.0) > 0
        around = neighbours(x, steps_around(self.spec.ndim), generator)
        blind = torch.where(targets.reshape(x[:, :1].shape), around, x)
        signals = _at(self.signals(blind), points)
        seen = _at(x.unsqueeze(1), points).squeeze(1)
        log_prob = torch.logsumexp(self._log_prob(seen, signals), 1)
        log_prob = log_prob - math.log(self.config.n_signals)
        weight = batch.weight
        if weight is not None:
            weight = _at(weight.expand_as(x).unsqueeze(1), points).squeeze(1)
        return Losses({"nll": -weighted_mean(log_prob, weight)}, {})

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The likelihood of masked pixels."""
        return (Curve("nll", "masked pixels", "Loss", "nats per pixel"),)

    def _log_prob(self, x: Tensor, signals: Tensor) -> Tensor:
        """Return log p(x | s^k), (n, k, c, *spatial), nats per normalized unit.

        Instead of spatial axes there may be as many of any length.
        """
        grey = self.spec.to_grey(signals.flatten(0, 1)).reshape(signals.shape)
        seen = self.spec.to_grey(x).unsqueeze(1)
        log_prob = self._noise.log_prob(seen, grey)
        return log_prob + torch.log(self.spec.scale(x))

    # Prediction -----------------------------------------------------------------

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The MMSE estimate, its deviation, and the mean before the pixel is seen."""
        return (MEAN, DEVIATION, PRIOR_MEAN)

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return mean and deviation of the signals, weighted by the noise model.

        Where all likelihoods vanish, the softmax makes the weights those of the
        likeliest signals, never none.
        """
        signals = self.signals(x)
        weights = torch.softmax(self._log_prob(x, signals), 1)
        mean = (weights * signals).sum(1)
        variance = (weights * (signals - mean.unsqueeze(1)).square()).sum(1)
        return {
            MEAN.name: mean,
            DEVIATION.name: variance.sqrt(),
            PRIOR_MEAN.name: signals.mean(1),
        }

    # Words ----------------------------------------------------------------------

    def describe(self) -> str:
        """Name the noise model."""
        return f"Probabilistic Noise2Void with a noise model ({self._noise.title})"

    def papers(self) -> tuple[Paper, ...]:
        """Return the paper of the method."""
        return (PAPER,)

    def networks_in_words(self) -> str:
        """Describe network and noise model in a sentence."""
        return (
            f"A U-Net predicted {self.config.n_signals} signals of each pixel from "
            f"its surroundings; a noise model ({self._noise.title}) weighed them, and "
            "their mean is the estimate (MMSE)."
        )


def _at(images: Tensor, points: Tensor) -> Tensor:
    """Return pixels at flat positions, (n, k, c, *ones, m), of images (n, k, c, …)."""
    n, k, c, *size = images.shape
    index = points[:, None, None].expand(n, k, c, -1)
    found = images.flatten(3).gather(3, index)
    return found.reshape(n, k, c, *(1,) * (len(size) - 1), -1)
