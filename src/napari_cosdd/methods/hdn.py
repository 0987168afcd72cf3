"""HDN: a ladder VAE with a noise model p(x | s) in place of a learned decoder.

Prakash et al., "Interpretable Unsupervised Diversity Denoising and Artefact Removal",
ICLR 2022 (Hierarchical DivNoising).
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError
from napari_cosdd.methods.base import Preset
from napari_cosdd.methods.capabilities import Draw
from napari_cosdd.methods.ladder import LadderMethod
from napari_cosdd.methods.ladder_settings import LadderConfig
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
from napari_cosdd.nets.ladder_vae import LatentNoise, fresh_noise
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.mixture import MixtureConfig, MixtureNoise
from napari_cosdd.noise_models.registry import INDEPENDENT
from napari_cosdd.remedies import Remedy
from napari_cosdd.settings.training import TrainingConfig

PAPER = Paper(
    "M. Prakash, M. Delbracio, P. Milanfar and F. Jug, Interpretable Unsupervised "
    "Diversity Denoising and Artefact Removal, ICLR 2022.",
    "10.48550/arXiv.2104.01374",
)
DIVNOISING = Paper(
    "M. Prakash, A. Krull and F. Jug, Fully Unsupervised Diversity Denoising with "
    "Convolutional Variational Autoencoders, ICLR 2021.",
    "10.48550/arXiv.2006.06072",
)


#: Share of the deviation of the images with which a noise model that is learned along
#: starts.
LEARNED_SCALE = 0.5
#: Signals that it covers, in deviations of the images below and above their mean.
COVERED = (2.0, 10.0)


class HDNConfig(LadderConfig):
    """The ladder, and how many of its levels are blind."""

    blind_levels: int = Field(
        default=0,
        ge=0,
        le=16,
        title="Blind levels",
        description="Lowest levels that do not see the image and so cannot carry its "
        "fine structure: short-range structured noise, and signal as fine as it. HDN36 "
        "has 2 of 6",
    )


class HDN(LadderMethod[HDNConfig]):
    """Ladder VAE that decodes the signal; a noise model gives the likelihood.

    Objective, nats per pixel and channel: `neg_elbo` = -log p(x | s(z)) + KL. The
    noise model assumes that pixels are independent, given the signal. If none is given,
    a mixture of Gaussians is learned along with the networks.
    """

    title = "HDN"
    Config = HDNConfig
    needs = Needs(noise_models=INDEPENDENT, learns_noise=True)
    presets: ClassVar = {
        "quick": Preset(
            HDNConfig(signal_channels=16),
            TrainingConfig(batch_size=8, learning_rate=0.002),
            "a laptop, minutes",
        ),
        "paper": Preset(
            HDNConfig(
                n_levels=6,
                n_channels=64,
                n_latents=32,
                n_code=64,
                signal_channels=64,
                stem_stride=1,
            ),
            TrainingConfig(batch_size=64, learning_rate=3e-4, max_steps=200_000),
            "a GPU, hours",
        ),
    }
    tiny: ClassVar = {
        "n_levels": 2,
        "n_channels": 8,
        "n_latents": 4,
        "n_code": 8,
        "signal_channels": 8,
    }

    def __init__(
        self, config: HDNConfig, spec: DataSpec, assets: Assets = NO_ASSETS
    ) -> None:
        if config.blind_levels >= config.n_levels:
            raise BadInputError(
                f"{config.blind_levels} blind levels of {config.n_levels}: one level "
                "at least must see the image"
            )
        super().__init__(config, spec, assets)
        noise = self.noise_model or self._unlearned(spec)
        if isinstance(noise, MixtureNoise) and noise.config.learned:
            noise = noise.learned_along()
        self.noise_model = noise
        self.signal = self.build_signal_decoder()

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Noise that is independent from pixel to pixel, given the signal."""
        if facts.pattern == "independent" or facts.weak:
            return Suitability(2, "HDN fits, with a noise model of the camera.")
        return Suitability(0, "HDN takes noise as independent from pixel to pixel.")

    @property
    def blind_levels(self) -> int:
        """Lowest levels whose posterior does not see the image."""
        return self.config.blind_levels

    @property
    def _noise(self) -> NoiseModel:
        if self.noise_model is None:
            raise RuntimeError("the method was built without a noise model")
        return self.noise_model

    def _unlearned(self, spec: DataSpec) -> NoiseModel:
        """Return a noise model to learn along, before it has learned anything.

        Raises
        ------
        BadInputError
            If the method needs one that was measured.
        """
        if not self.needs.learns_noise:
            raise BadInputError(
                f"{self.title} needs a noise model; measure one ({Remedy.CALIBRATE})"
            )
        below, above = COVERED
        scale = spec.normalization
        pairs = list(zip(scale.mean, scale.std, strict=True))
        low = min(mean - below * std for mean, std in pairs)
        high = max(mean + above * std for mean, std in pairs)
        return MixtureNoise(
            MixtureConfig(
                signal_range=(low, high),
                n_coefficients=2,  # as in the paper; more are for measured noise
                scale=LEARNED_SCALE * max(scale.std),
                floor=max(scale.std) * max(spec.scale_floors),
                learned=True,
            )
        )

    # Training -------------------------------------------------------------------

    def losses(
        self, batch: Batch, generator: torch.Generator, stage: Stage = TRAINED
    ) -> Losses:
        """Return the objective `neg_elbo`, and its parts as metrics."""
        x = batch.x
        latents = self.ladder.sample_posterior(
            self.ladder.encode(x), fresh_noise(generator)
        )
        s = self.signal(latents.code).float()
        nll = -weighted_mean(self._log_prob(x, s), batch.weight)
        error = weighted_mean((s.detach() - x).square(), batch.weight)
        neg_elbo, metrics = self.ladder_losses(batch, nll, latents.kl, error, stage)
        metrics["signal"] = error
        detached = {k: v.detach() for k, v in metrics.items()}
        return Losses({"neg_elbo": neg_elbo}, detached)

    def _log_prob(self, x: Tensor, s: Tensor) -> Tensor:
        """Return log p(x | s) of normalized images, nats, shape of `x`."""
        log_prob = self._noise.log_prob(self.spec.to_grey(x), self.spec.to_grey(s))
        return log_prob + torch.log(self.spec.scale(x))  # density per normalized unit

    # Prediction -----------------------------------------------------------------

    def sample_posterior(self, features: list[Tensor], noise: LatentNoise) -> Draw:
        """Return one clean image for each noisy image."""
        code = self.ladder.sample_posterior(features, noise, with_kl=False).code
        s = self.signal(code)
        return Draw(s, s)

    def sample_noise(self, draw: Draw, generator: torch.Generator) -> Tensor:
        """Return the same signal with noise of the noise model."""
        grey = self._noise.sample(self.spec.to_grey(draw.state), generator)
        return self.spec.from_grey(grey).to(draw.state.dtype)

    def cdf(self, x: Tensor, draw: Draw) -> Tensor:
        """Return the noise model's distribution function at each pixel."""
        return self._noise.cdf(self.spec.to_grey(x), self.spec.to_grey(draw.state))

    def sample_prior(self, n: int, size: Sequence[int], noise: LatentNoise) -> Draw:
        """Return new clean images from p(z)."""
        s = self.signal(self.ladder.sample_prior(n, size, noise).code)
        return Draw(s, s)

    # Words ----------------------------------------------------------------------

    def describe(self) -> str:
        """Name the noise model."""
        blind = self.config.blind_levels
        seeing = f", the lowest {blind} levels blind" if blind else ""
        return f"{self.title} with a noise model ({self._noise.words}){seeing}"

    def papers(self) -> tuple[Paper, ...]:
        """Return the papers of the method."""
        return (PAPER, DIVNOISING)

    def networks_in_words(self) -> str:
        """Describe ladder and noise model in a sentence."""
        config = self.config
        return (
            f"A hierarchical variational autoencoder with {config.n_levels} levels of "
            f"latents and {config.n_channels} channels represents the signal; the "
            f"noise was described by a noise model ({self._noise.words})."
        )
