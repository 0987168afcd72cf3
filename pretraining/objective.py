"""What pretraining minimizes: the negative ELBO, and the error of the mean."""

from typing import Any

import torch
from torch import Tensor

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.methods.cosdd_settings import COSDDConfig
from napari_cosdd.methods.values import TRAINED, Batch, Losses, Moment, Stage
from napari_cosdd.nets.autoregressive import AutoregressiveDecoder, dilations
from napari_cosdd.nets.ladder_vae import fresh_noise

#: Receptive fields trained in turn: those that two causal layers can have.
FIELDS = (5, 7, 9)
#: Weight of the error of the mean, squared normalized units, beside the ELBO in nats.
SUPERVISED = 5.0
#: Number of posterior samples in the mean that is judged.
SAMPLES = 8


class Pretrained(COSDD):
    """COSDD that also sees the clean image, as the batch's target."""

    def stage(self, moment: Moment) -> Stage:
        """Return the receptive field of this step, as the stage's name."""
        return Stage(str(FIELDS[moment.step % len(FIELDS)]))

    def losses(
        self, batch: Batch, generator: torch.Generator, stage: Stage = TRAINED
    ) -> Losses:
        """Return the negative ELBO, nats per pixel, and the squared error of the mean.

        The product of the errors of two independent samples has the squared error of
        the posterior's mean as its expectation: it asks for a right mean, and leaves
        the spread of the samples to the ELBO.
        """
        x, clean = batch.x, batch.target
        assert clean is not None
        set_receptive_field(self.decoder, int(stage.name or max(FIELDS)))
        features, noise = self.encode(x), fresh_noise(generator)
        one, two = (self.ladder.sample_posterior(features, noise) for _ in range(2))
        nll = -self.likelihood(x, one.code).log_prob(self.decoder.rows(x)).mean()
        kl = torch.stack(self.kl_by_level(one.kl, Batch(x))).sum()
        errors = [self.signal(latents.code) - clean for latents in (one, two)]
        error = (errors[0] * errors[1]).mean()
        return Losses(
            {"neg_elbo": nll + kl, "mean": SUPERVISED * error},
            {"nll": nll.detach(), "kl": kl.detach()},
        )


def untrained(config: COSDDConfig) -> Pretrained:
    """Return networks of these sizes, for normalized planes with noise along x."""
    settings = {"noise_axis": "x", "receptive_field": max(FIELDS)}
    scale = Normalization(mean=(0,), std=(1,))
    spec = DataSpec(ndim=2, n_channels=1, normalization=scale)
    return Pretrained(config.model_copy(update=settings), spec)


def set_receptive_field(decoder: AutoregressiveDecoder, field: int) -> None:
    """Space the taps of the second causal layer as this receptive field has them."""
    layer: Any = decoder.causal[0]
    layer.dilation = dilations(field, 2)[1]
    layer.reach = 2 * layer.dilation
    layer.conv.dilation = (1, layer.dilation)


@torch.no_grad()
def gains(method: COSDD, noisy: Tensor, clean: Tensor) -> Tensor:
    """Return by how many dB the mean is nearer to the clean image, shape (n,)."""
    noise = fresh_noise(torch.Generator(noisy.device).manual_seed(7))
    result = []
    for x, truth in zip(noisy.split(8), clean.split(8), strict=True):
        features = method.encode(x)
        draws = [
            method.sample_posterior(features, noise).signal for _ in range(SAMPLES)
        ]
        error = (torch.stack(draws).mean(0) - truth).square().mean((1, 2, 3))
        result.append(10 * torch.log10((x - truth).square().mean((1, 2, 3)) / error))
    return torch.cat(result)
