"""COSDD: a ladder VAE whose decoder models the noise along one axis.

Salmon & Krull, "Unsupervised Denoising for Signal-Dependent and Row-Correlated
Imaging Noise", WACV 2025.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.distributions.mixture import GaussianMixture
from napari_cosdd.methods import papers
from napari_cosdd.methods.base import (
    AXES_IN_WORDS,
    Batch,
    GenerativeMethod,
    Losses,
    Method,
)
from napari_cosdd.methods.cosdd_config import PRESETS, COSDDConfig
from napari_cosdd.methods.papers import Paper
from napari_cosdd.methods.signal_power import has_collapsed, signal_power
from napari_cosdd.nets.autoregressive import AutoregressiveDecoder, layers_for
from napari_cosdd.nets.ladder_vae import LadderVAE, LatentNoise, fresh_noise
from napari_cosdd.nets.signal_decoder import SignalDecoder
from napari_cosdd.nets.transfer import fitted, with_rows
from napari_cosdd.nets.unet import UNet

#: Nats that each nat of KL is to save beside its own price, or it carries noise.
KL_SURCHARGE = 0.2


class COSDD(GenerativeMethod):
    """The four networks of the paper and their three losses.

    Objectives, nats or squared units per pixel and channel: `neg_elbo` = nll + kl
    for the ladder and the autoregressive decoder (paper, equation 3), `signal` for
    the signal decoder (equation 6), `direct` for the optional direct denoiser. The
    code and the samples are detached between them, so their gradients are disjoint.
    """

    title = "COSDD"
    config: COSDDConfig
    Config = COSDDConfig
    presets = PRESETS

    def __init__(self, config: COSDDConfig, spec: DataSpec) -> None:
        super().__init__(config, spec)
        self.config = config
        ndim, n_channels = spec.ndim, spec.n_channels
        reach = config.receptive_field or 0
        self.ladder = LadderVAE(
            ndim,
            n_channels,
            n_channels=config.n_channels,
            n_latents=config.n_latents,
            n_code=config.n_code,
            n_levels=config.n_levels,
            n_blocks=config.n_blocks,
            stem_stride=config.stem_stride,
            downsample_every=config.downsample_every,
        )
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
        self.signal = SignalDecoder(
            ndim,
            config.n_code,
            config.signal_channels,
            n_channels,
            config.signal_layers,
        )
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

    @property
    def has_estimate(self) -> bool:
        """Whether the direct denoiser was trained."""
        return self.direct is not None

    def losses(
        self, batch: Batch, generator: torch.Generator, progress: float = 1.0
    ) -> Losses:
        """Return `neg_elbo`, `signal` and `direct`, and what they consist of."""
        x = batch.x
        held = progress < self.config.held  # never at validation, where it is 1
        with torch.set_grad_enabled(torch.is_grad_enabled() and not held):
            features = self.ladder.encode(x)
            latents = self.ladder.sample_posterior(features, fresh_noise(generator))
        nll = -self.likelihood(x, latents.code).log_prob(self.decoder.rows(x)).mean()
        kl_by_level = [kl.mean() / x[0].numel() for kl in latents.kl]
        kl = torch.stack(kl_by_level).sum()
        s = self.signal(latents.code.detach()).float()
        signal = (s - x).square().mean()
        weights = self.config.kl_weights(progress)
        objectives = {
            "neg_elbo": nll
            + sum(w * k for w, k in zip(weights, kl_by_level, strict=True)),
            "signal": signal,
        }
        if self.direct is not None:
            objectives["direct"] = (self.direct(x).float() - s.detach()).square().mean()
        metrics = {"nll": nll, "kl": kl, **self._explained(x, signal)}
        metrics |= {f"kl_{i}": level for i, level in enumerate(kl_by_level)}
        return Losses(objectives, {k: v.detach() for k, v in metrics.items()})

    def collapsed(self, losses: Mapping[str, float]) -> bool:
        """Tell whether the latents ignore the signal (posterior collapse).

        Parameters
        ----------
        losses : mapping
            With `explained`, `explainable` and its standard error
            `explainable_error`, in units of the normalized image's power.
        """
        power, error = losses["explainable"], losses["explainable_error"]
        return has_collapsed(losses["explained"], power, error)

    def criterion(self, losses: Mapping[str, float]) -> float:
        """Return the negative ELBO with a surcharge on the KL, and the direct loss.

        White noise costs as many nats in the latents as in the likelihood, so the
        ELBO does not mind where it is, and the signal loss, left out, likes to see it
        in the estimate. What the latents carry is signal if it saves more than it
        costs. (Ours; measured in docs/measurements.md.)
        """
        neg_elbo = losses["nll"] + losses["kl"]
        return neg_elbo + KL_SURCHARGE * losses["kl"] + losses.get("direct", 0.0)

    def signal_and_rest(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters of ladder and signal decoder, and all others."""
        signal = [*self.ladder.parameters(), *self.signal.parameters()]
        known = {id(p) for p in signal}
        return signal, [p for p in self.parameters() if id(p) not in known]

    def save_memory(self, on: bool) -> None:
        """Do so in the ladder, which has nearly all features."""
        self.ladder.checkpointing = on

    def estimate(self, x: Tensor) -> Tensor:
        """Return the direct denoiser's mean."""
        if self.direct is None:
            raise RuntimeError("this model has no direct denoiser")
        return self.direct(x)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the bottom-up features of the ladder."""
        return self.ladder.encode(x)

    def sample_posterior(self, features: list[Tensor], noise: LatentNoise) -> Tensor:
        """Return one clean image for each noisy one (paper, section 4.3)."""
        return self.signal(self._code(features, noise))

    def _code(self, features: list[Tensor], noise: LatentNoise) -> Tensor:
        return self.ladder.sample_posterior(features, noise, with_kl=False).code

    def sample_noise(
        self, features: list[Tensor], noise: LatentNoise, generator: torch.Generator
    ) -> Tensor:
        """Return the same signal with fresh noise (paper, section 5.5)."""
        code = self._code(features, noise)
        return self.decoder.sample(code, self._floor(code), generator)

    def quantiles(self, x: Tensor, noise: LatentNoise) -> Tensor:
        """Return the mixture's distribution function at each pixel."""
        code = self._code(self.ladder.encode(x), noise)
        rows = self.likelihood(x, code).cdf(self.decoder.rows(x))
        return self.decoder.unrows(rows, x.shape)

    def sample_prior(
        self,
        n: int,
        size: Sequence[int],
        noise: LatentNoise,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return new clean images from p(z) and their noisy versions."""
        code = self.ladder.sample_prior(n, size, noise).code
        noisy = self.decoder.sample(code, self._floor(code), generator)
        return self.signal(code), noisy

    def tile_multiple(self) -> tuple[int, ...]:
        """Return the stride of the topmost level."""
        return self.ladder.multiple

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
        return (papers.COSDD,)

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

    @property
    def noise_reach(self) -> int:
        """Earlier pixels along the noise axis that the decoder sees."""
        return self.decoder.receptive_field

    def weights_from(self, other: Method) -> dict[str, Tensor] | None:
        """Return the weights of another COSDD model as they fit this one.

        The networks of the signal must have equal sizes; they are turned to this
        noise axis, and those for planes also serve volumes. The autoregressive
        decoder takes what is of equal shape and begins the rest anew.
        """
        along_z = self.spec.ndim == 3 and self.noise_dim == 0
        if not isinstance(other, COSDD) or other.spec.ndim != 2 or along_z:
            return None
        turned = None not in (self.noise_dim, other.noise_dim) and (
            self.config.noise_axis != other.config.noise_axis
        )
        given, own = other.state_dict(), self.state_dict()
        if set(filter(_of_signal, given)) != set(filter(_of_signal, own)):
            return None  # of other numbers of levels or blocks
        taken: dict[str, Tensor] = {}
        for name in filter(given.__contains__, own):
            weights, shape = given[name], own[name].shape
            if "decoder.condition" in name:
                weights = with_rows(weights, shape)  # of more layers
            fit = fitted(weights, shape, turned=turned and _of_signal(name))
            if fit is not None:
                taken[name] = fit
            elif _of_signal(name):
                return None
        return taken

    def likelihood(self, x: Tensor, code: Tensor) -> GaussianMixture:
        """Return p(x | z) of each pixel given those before it, rows last."""
        location, parameters = self.decoder(x, code)
        return GaussianMixture.from_parameters(location, parameters, self._floor(x))

    def _floor(self, like: Tensor) -> Tensor:
        """Return the smallest deviation of each channel, (c, 1, 1, 1)."""
        floors = torch.tensor(self.spec.scale_floors, device=like.device)
        return floors.reshape(-1, 1, 1, 1)

    def _explained(self, x: Tensor, signal: Tensor) -> dict[str, Tensor]:
        """Return the power of x that the code explains, and that of the signal."""
        across = [a for a in range(self.spec.ndim) if a != self.noise_dim]
        power, error = torch.zeros_like(signal), torch.zeros_like(signal)
        if across:
            power, error = signal_power(x, across[-1] + 2)
        return {
            "explained": x.square().mean() - signal,
            "explainable": power,
            "explainable_error": error,
        }


def _of_signal(name: str) -> bool:
    """Tell whether a parameter says what the signal is, not what the noise is."""
    return name.startswith(("ladder.", "signal.", "decoder.location"))
