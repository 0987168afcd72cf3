"""COSDD: a ladder VAE whose decoder models the noise along one axis.

Salmon & Krull, "Unsupervised Denoising for Signal-Dependent and Row-Correlated
Imaging Noise", WACV 2025.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.devices import constant
from napari_cosdd.distributions.mixture import GaussianMixture
from napari_cosdd.events import Curve
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.capabilities import Draw
from napari_cosdd.methods.cosdd_settings import PRESETS, COSDDConfig
from napari_cosdd.methods.ladder import SQUARED, LadderMethod
from napari_cosdd.methods.noise_axis import (
    AXES_IN_WORDS,
    NoiseAxisMethod,
)
from napari_cosdd.methods.outputs import MEAN, Output
from napari_cosdd.methods.values import (
    NO_ASSETS,
    TRAINED,
    Assets,
    Batch,
    Losses,
    Moment,
    Needs,
    Paper,
    Stage,
    Suitability,
    weighted_mean,
)
from napari_cosdd.nets.ancestral import sample_decoder
from napari_cosdd.nets.autoregressive import AutoregressiveDecoder, layers_for
from napari_cosdd.nets.ladder_vae import LatentNoise, fresh_noise
from napari_cosdd.nets.transfer import fitted, with_rows
from napari_cosdd.nets.unet import UNet
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.remedies import Remedy

PAPER = Paper(
    "B. Salmon and A. Krull, Unsupervised Denoising for Signal-Dependent and "
    "Row-Correlated Imaging Noise, WACV 2025.",
    "10.48550/arXiv.2310.07887",
)

#: Largest share of the steps in which the decoder sees no earlier pixels.
CLOSED_SHARE = 0.2
#: Names of stages.
DECODER_LEARNS, VIEW_CLOSED = "decoder learns", "view closed"


class COSDD(LadderMethod[COSDDConfig], NoiseAxisMethod[COSDDConfig]):
    """The four networks of the paper and their three losses.

    Objectives, nats or squared units per pixel and channel: `neg_elbo` = nll + kl
    for the ladder and the autoregressive decoder (paper, equation 3), `signal` for
    the signal decoder (equation 6), `direct` for the optional direct denoiser. Code and
    signal are detached between these networks, so each parameter has one objective.
    """

    title = "COSDD"
    Config = COSDDConfig
    needs = Needs(noise_axis=True)
    presets: ClassVar = PRESETS
    tiny: ClassVar = {
        "n_levels": 2,
        "n_channels": 8,
        "n_latents": 4,
        "n_code": 8,
        "decoder_channels": 8,
        "decoder_layers": 2,
        "signal_channels": 8,
        "receptive_field": 5,
        "noise_axis": "x",
    }

    def __init__(
        self, config: COSDDConfig, spec: DataSpec, assets: Assets = NO_ASSETS
    ) -> None:
        super().__init__(config, spec, assets)
        ndim, n_channels = spec.ndim, spec.n_channels
        reach = config.receptive_field or 0
        self.decoder = AutoregressiveDecoder(
            ndim,
            self.noise_dim,
            n_channels,
            n_code=config.n_code,
            n_channels=config.decoder_channels,
            n_layers=max(config.decoder_layers, layers_for(reach)),
            n_components=config.n_components,
            receptive_field=reach,
        )
        self.signal = self.build_signal_decoder()
        self.direct = None
        if config.direct_denoiser:
            self.direct = UNet(
                ndim,
                n_channels,
                n_channels,
                n_channels=config.n_channels,
                n_levels=sum(self.ladder.halved) + 1,
                n_blocks=config.n_blocks,
                stem_stride=config.stem_stride,
            )

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Noise along one axis suits best, then independent noise."""
        if facts.weak:
            return Suitability(
                3,
                "COSDD fits without a noise axis: so weak a correlation is not worth "
                "modelling.",
            )
        if facts.pattern == "one axis":
            return Suitability(
                3,
                f"COSDD fits: axis {facts.axis}, receptive field "
                f"{facts.receptive_field} px.",
            )
        if facts.pattern == "independent":
            return Suitability(2, "COSDD fits without a noise axis.")
        if facts.pattern == "both axes" and facts.grid > 1:
            return Suitability(
                2,
                "If the image was smoothed, registered or interpolated, COSDD can "
                f"learn from grids of pixels {facts.grid} px apart, whose noise is "
                f"independent ({Remedy.GRID}).",
            )
        if facts.pattern == "both axes":
            return Suitability(
                0,
                "COSDD models noise along one axis and does not fit: it would leave "
                "the noise of the other axis in the image.",
            )
        return Suitability(1, "COSDD needs to know the noise axis.")

    # Training -------------------------------------------------------------------

    def stage(self, moment: Moment) -> Stage:
        """Return the stage: decoder only, view closed, or as in the end.

        A strong autoregressive decoder explains the image from its earlier pixels
        before the latents carry anything, and the posterior collapses. It does not if
        it sees no earlier pixels at the start. (Ours; docs/measurements.md.) A fresh
        start after a collapse keeps the view closed for twice as long.
        """
        weights = super().stage(moment).weights
        if moment.share < self.config.decoder_only:
            return Stage(DECODER_LEARNS, weights)
        closed = self.config.closed_steps * 2**moment.restarts
        if moment.step < min(closed, CLOSED_SHARE * moment.steps):
            return Stage(VIEW_CLOSED, weights)
        return Stage(weights=weights)

    def losses(
        self, batch: Batch, generator: torch.Generator, stage: Stage = TRAINED
    ) -> Losses:
        """Return the objectives `neg_elbo`, `signal` and `direct`, and their parts."""
        x, weight = batch.x, batch.weight
        ladder_learns = stage.name != DECODER_LEARNS
        with torch.set_grad_enabled(torch.is_grad_enabled() and ladder_learns):
            features = self.ladder.encode(x)
            latents = self.ladder.sample_posterior(features, fresh_noise(generator))
        closed = stage.name == VIEW_CLOSED
        likelihood = self.likelihood(x, latents.code, closed=closed)
        log_prob = likelihood.log_prob(self.decoder.rows(x))
        counting = None if weight is None else self.decoder.rows(weight)
        nll = -weighted_mean(log_prob, counting)
        s = self.signal(latents.code.detach()).float()
        signal = weighted_mean((s - x).square(), weight)
        neg_elbo, metrics = self.ladder_losses(batch, nll, latents.kl, signal, stage)
        objectives = {"neg_elbo": neg_elbo, "signal": signal}
        if self.direct is not None:
            error = (self.direct(x).float() - s.detach()).square()
            objectives["direct"] = weighted_mean(error, weight)
        return Losses(objectives, {k: v.detach() for k, v in metrics.items()})

    def criterion(self, losses: Mapping[str, float]) -> float:
        """Return the ladder's criterion plus the loss of the direct denoiser."""
        return super().criterion(losses) + losses.get("direct", 0.0)

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The curves of the ladder, and the direct denoiser's error."""
        direct = Curve("direct", "direct denoiser", "Signal", SQUARED)
        return (*super().curves, *((direct,) if self.direct is not None else ()))

    def weights_from(self, other: Method[Any]) -> dict[str, Tensor] | None:
        """Return the weights of another COSDD model, adapted to this one.

        The networks of the signal must have equal sizes. Their weights are transposed
        to this noise axis, and those for planes also serve volumes. The noise decoder
        takes weights of equal shape; its other weights stay random.
        """
        along_z = self.spec.ndim == 3 and self.noise_dim == 0
        if not isinstance(other, COSDD) or other.spec.ndim != 2 or along_z:
            return None
        turned = None not in (self.noise_dim, other.noise_dim) and (
            self.config.noise_axis != other.config.noise_axis
        )
        given, own = other.state_dict(), self.state_dict()
        if set(filter(_of_signal, given)) != set(filter(_of_signal, own)):
            return None  # other numbers of levels or blocks
        adapted: dict[str, Tensor] = {}
        for name in filter(given.__contains__, own):
            weights, shape = given[name], own[name].shape
            if "decoder.condition" in name:
                weights = with_rows(weights, shape)  # for more layers
            fit = fitted(weights, shape, turned=turned and _of_signal(name))
            if fit is not None:
                adapted[name] = fit
            elif _of_signal(name):
                return None
        return adapted

    # Prediction -----------------------------------------------------------------

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The mean in one pass, if the direct denoiser was trained."""
        return () if self.direct is None else (MEAN,)

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the direct denoiser's mean (arXiv 2310.18116)."""
        if self.direct is None:
            raise RuntimeError("this model has no direct denoiser")
        return {MEAN.name: self.direct(x)}

    def sample_posterior(self, features: list[Tensor], noise: LatentNoise) -> Draw:
        """Return one clean image for each noisy image (paper, section 4.3)."""
        code = self.ladder.sample_posterior(features, noise, with_kl=False).code
        return Draw(self.signal(code), code)

    def sample_noise(self, draw: Draw, generator: torch.Generator) -> Tensor:
        """Return the same signal with fresh noise (paper, section 5.5)."""
        code = draw.state
        return sample_decoder(self.decoder, code, self._floor(code), generator)

    def cdf(self, x: Tensor, draw: Draw) -> Tensor:
        """Return the mixture's distribution function at each pixel."""
        rows = self.likelihood(x, draw.state).cdf(self.decoder.rows(x))
        return self.decoder.unrows(rows, x.shape)

    def sample_prior(self, n: int, size: Sequence[int], noise: LatentNoise) -> Draw:
        """Return new clean images from p(z)."""
        code = self.ladder.sample_prior(n, size, noise).code
        return Draw(self.signal(code), code)

    def likelihood(
        self, x: Tensor, code: Tensor, *, closed: bool = False
    ) -> GaussianMixture:
        """Return p(x | z) of each pixel given earlier ones, rows as the last axis.

        With its view closed, the decoder sees no earlier pixels.
        """
        location, parameters = self.decoder(x, code, closed=closed)
        return GaussianMixture.from_parameters(location, parameters, self._floor(x))

    def _floor(self, like: Tensor) -> Tensor:
        """Return the smallest deviation of each channel, (c, 1, 1, 1)."""
        floors = constant(tuple(self.spec.scale_floors), like.device)
        return floors.reshape(-1, 1, 1, 1)

    @property
    def noise_reach(self) -> int:
        """Earlier pixels along the noise axis that the decoder sees."""
        return self.decoder.receptive_field

    # Words ----------------------------------------------------------------------

    def describe(self) -> str:
        """Name the noise axis and the receptive field."""
        if self.noise_dim is None:
            return "COSDD for noise that is independent from pixel to pixel"
        return (
            f"COSDD for noise along {self.config.noise_axis}, "
            f"receptive field {self.noise_reach} px"
        )

    def papers(self) -> tuple[Paper, ...]:
        """Return the paper of the method."""
        return (PAPER,)

    def networks_in_words(self) -> str:
        """Describe ladder and decoder in a sentence."""
        config, axis = self.config, AXES_IN_WORDS.get(self.config.noise_axis)
        noise = "the noise was taken as independent from pixel to pixel"
        if axis:
            noise = (
                f"the noise was modelled by an autoregressive decoder along {axis} "
                f"with a receptive field of {config.receptive_field} pixels"
            )
        return (
            f"A hierarchical variational autoencoder with {config.n_levels} levels of "
            f"latents and {config.n_channels} channels represents the signal; {noise} "
            f"and {config.n_components} Gaussian components per pixel."
        )


def _of_signal(name: str) -> bool:
    """Whether a parameter belongs to the signal, not to the noise."""
    return name.startswith(("ladder.", "signal.", "decoder.location"))
