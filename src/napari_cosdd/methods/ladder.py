"""The base class of methods that represent the signal by a ladder VAE."""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.events import Curve
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.ladder_settings import LadderConfig
from napari_cosdd.methods.signal_power import has_collapsed, signal_power
from napari_cosdd.methods.values import (
    NO_ASSETS,
    Assets,
    Batch,
    Groups,
    Moment,
    Problem,
    Stage,
    weighted_mean,
)
from napari_cosdd.nets.ladder_vae import LadderVAE
from napari_cosdd.nets.signal_decoder import SignalDecoder

#: Extra weight of the KL in the criterion: a nat in the latents must save 1.2 nats of
#: likelihood, or else it is taken to carry noise.
KL_SURCHARGE = 0.2
NATS, SQUARED = "nats per pixel", "squared error"


LadderT = TypeVar("LadderT", bound=LadderConfig)


class LadderMethod(Method[LadderT]):
    """A method with a ladder VAE and a signal decoder: image -> code -> image.

    Subclasses build the signal decoder and add the likelihood p(x | z).
    """

    signal: SignalDecoder

    def __init__(
        self, config: LadderT, spec: DataSpec, assets: Assets = NO_ASSETS
    ) -> None:
        super().__init__(config, spec, assets)
        self.ladder = LadderVAE(
            spec.ndim,
            spec.n_channels,
            n_channels=config.n_channels,
            n_latents=config.n_latents,
            n_code=config.n_code,
            n_levels=config.n_levels,
            n_blocks=config.n_blocks,
            n_blocks_up=config.n_blocks_up or config.n_blocks,
            stem_stride=config.stem_stride,
            downsample_every=config.downsample_every,
            blind_levels=self.blind_levels,
        )

    @property
    def blind_levels(self) -> int:
        """Lowest levels whose posterior does not see the image."""
        return 0

    def build_signal_decoder(self) -> SignalDecoder:
        """Return a new signal decoder of the configured size."""
        return SignalDecoder(
            self.spec.ndim,
            self.config.n_code,
            self.config.signal_channels,
            self.spec.n_channels,
            self.config.signal_layers,
        )

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the bottom-up features of the ladder."""
        return self.ladder.encode(x)

    def tile_multiple(self) -> tuple[int, ...]:
        """Return the stride of the topmost level."""
        return self.ladder.multiple

    def use_checkpointing(self, on: bool) -> None:
        """Recompute the features of the ladder, which has nearly all of them."""
        self.ladder.checkpointing = on

    def kl_by_level(self, kl: list[Tensor], batch: Batch) -> list[Tensor]:
        """Return the KL of each level, lowest first, in nats per pixel that counts.

        Where not all pixels count, the KL counts near those that do. Averaged over all
        pixels it would weigh less than the likelihood: the network sees where the
        selected things are, needs no latents elsewhere, and noise in the latents of
        the selected things would be cheap.

        Parameters
        ----------
        kl : list of Tensor, each (n, *spatial of its level)
            Summed over the latents of a position, nats.
        batch : Batch
            The images.
        """
        if batch.weight is None:
            return [level.sum() / batch.x.numel() for level in kl]
        counting = batch.weight.flatten(1).sum(1)  # of each image
        pixels = batch.x[0].numel()
        means = [_mean_near(level, batch.weight) * level[0].numel() for level in kl]
        total = counting.sum().clamp(min=1)
        return [(counting * mean).sum() / (pixels * total) for mean in means]

    def ladder_losses(
        self,
        batch: Batch,
        nll: Tensor,
        kl: list[Tensor],
        signal_error: Tensor,
        stage: Stage,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the negative ELBO with weighted KL, and its parts as metrics.

        Parameters
        ----------
        batch : Batch
            The images.
        nll : Tensor, scalar
            Negative log-likelihood, nats per pixel.
        kl : list of Tensor
            As in `kl_by_level`.
        signal_error : Tensor, scalar
            Mean squared difference of the images and the decoded signal.
        stage : Stage
            Has the weights of the KL.
        """
        kl_by_level = self.kl_by_level(kl, batch)
        metrics = {"nll": nll, "kl": torch.stack(kl_by_level).sum()}
        metrics |= self.signal_metrics(batch.x, signal_error, batch.weight)
        metrics |= {f"kl_{i}": level for i, level in enumerate(kl_by_level)}
        return nll + self.weighted_kl(kl_by_level, stage), metrics

    def neg_elbo(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the negative ELBO, nats per pixel and channel."""
        return self.losses(batch, generator).objectives["neg_elbo"]

    def stage(self, moment: Moment) -> Stage:
        """Return the weights of the KL at this moment, lowest level first."""
        return Stage(weights=self.config.kl_weights(moment.step))

    def weighted_kl(self, kl_by_level: list[Tensor], stage: Stage) -> Tensor:
        """Return the weighted sum of the KL of all levels; weights of 1 if none."""
        weights: Any = stage.weights or (1.0,) * len(kl_by_level)
        terms = [w * level for w, level in zip(weights, kl_by_level, strict=True)]
        total: Any = sum(terms)
        return total

    def signal_metrics(
        self, x: Tensor, signal_error: Tensor, weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Return the power that the code explains, and the signal's with its error.

        Parameters
        ----------
        x : Tensor, shape (n, c, *spatial)
            Noisy, normalized.
        signal_error : Tensor, scalar
            Mean squared difference of `x` and the decoded signal.
        weight : Tensor or None
            As in `Batch`.
        """
        across = [a for a in range(self.spec.ndim) if a != self.noise_dim]
        power = signal_error.new_zeros(())
        error = signal_error.new_zeros(())
        if across:
            power, error = signal_power(x, across[-1] + 2, weight)
        return {
            "explained": weighted_mean(x.square(), weight) - signal_error,
            "explainable": power,
            "explainable_error": error,
        }

    def problem(self, losses: Mapping[str, float]) -> Problem | None:
        """Return a problem if the latents ignore the signal (posterior collapse).

        Parameters
        ----------
        losses : mapping
            With `explained`, `explainable` and its standard error
            `explainable_error`, in units of the normalized image's power.
        """
        power, error = losses["explainable"], losses["explainable_error"]
        if not has_collapsed(losses["explained"], power, error):
            return None
        return Problem(
            "the posterior collapsed",
            f"the latents explain {max(0.0, losses['explained']):.2f} of a signal "
            f"power of {power:.2f}",
            "Train longer, lower the learning rate, or use a shorter receptive field. "
            "Also check the noise axis",
        )

    def criterion(self, losses: Mapping[str, float]) -> float:
        """Return the negative ELBO with a surcharge on the KL.

        White noise costs as many nats in the latents as in the likelihood, so the ELBO
        does not penalize noise in the latents. The signal loss would even reward it,
        and is left out. The surcharge favours latents that carry signal, which saves
        more nats than it costs. (Ours; measured in docs/measurements.md.)
        """
        return losses["nll"] + losses["kl"] + KL_SURCHARGE * losses["kl"]

    def parameter_groups(self) -> Groups:
        """Return the parameters of ladder and signal decoder, and the others."""
        signal = [*self.ladder.parameters(), *self.signal.parameters()]
        known = {id(p) for p in signal}
        trained = [p for p in self.parameters() if p.requires_grad]
        return Groups(signal, [p for p in trained if id(p) not in known])

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Negative ELBO and its parts, the KL of each level, the signal's error."""
        levels = range(self.config.n_levels)
        return (
            Curve("neg_elbo", "total", "Loss", NATS),
            Curve("nll", "neg. log-likelihood", "Loss", NATS),
            Curve("kl", "total", "KL", NATS),
            *(Curve(f"kl_{i}", f"level {i + 1}", "KL", NATS, True) for i in levels),
            Curve("signal", "signal decoder", "Signal", SQUARED),
        )

    def learned_in_words(self, losses: Mapping[str, float]) -> str:
        """Say how much of the signal the latents explain, and the KL by level."""
        levels = range(self.config.n_levels)
        kl = ", ".join(f"{losses[f'kl_{i}']:.3f}" for i in levels)
        return (
            f"they explain {losses['explained']:.2f} of a signal power of "
            f"{losses['explainable']:.2f}; KL {kl} nats per pixel, lowest level first"
        )


def _mean_near(kl: Tensor, weight: Tensor) -> Tensor:
    """Return the mean KL of each image near its pixels that count, shape (n,).

    Parameters
    ----------
    kl : Tensor, shape (n, *spatial of a level)
        Nats per position.
    weight : Tensor, shape (n, c, *spatial)
        As in `Batch`.
    """
    pools: Any = {
        1: (F.adaptive_avg_pool1d, F.max_pool1d),
        2: (F.adaptive_avg_pool2d, F.max_pool2d),
        3: (F.adaptive_avg_pool3d, F.max_pool3d),
    }
    average, largest = pools[kl.ndim - 1]
    shares = average(weight.mean(1, keepdim=True), kl.shape[1:])
    near: Tensor = largest(shares, 3, 1, 1).flatten(1)
    # An image without such pixels has no share in the mean over the images.
    return (kl.flatten(1) * near).sum(1) / near.sum(1).clamp(min=1e-6)
