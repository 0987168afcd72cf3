"""A trained method as one network, grey levels in and out."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from napari_cosdd.inference.latent_noise import PositionNoise
from napari_cosdd.nets.ladder_vae import LatentNoise
from napari_cosdd.training.checkpoint import TrainedModel


class GreyLevels(nn.Module):
    """A trained method from grey levels to grey levels, for one size of tile.

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    size : sequence of int
        Of a tile, pixels per spatial axis.
    n_samples : int
        Posterior samples of the mean, in mirrored pairs; 0 asks for the point
        estimate.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: TrainedModel, size: Sequence[int], n_samples: int):
        super().__init__()
        self.method = deepcopy(model.method).requires_grad_(False)
        self.n_samples = n_samples
        scale = model.spec.normalization
        column = (1, -1, *(1,) * len(size))
        self.register_buffer("mean", torch.tensor(scale.mean).reshape(column))
        self.register_buffer("std", torch.tensor(scale.std).reshape(column))
        if n_samples:
            self._keep_noise(size)

    def _keep_noise(self, size: Sequence[int]) -> None:
        """Draw the noise of every level once, to be part of the network."""
        cpu = torch.device("cpu")
        pairs = [k // 2 for k in range(self.n_samples)]
        signs = [1 - 2 * (k % 2) for k in range(self.n_samples)]
        noise = PositionNoise(0, 0, pairs, (0,) * len(size), size, cpu, signs)

        def keep(level: int, shape: torch.Size) -> Tensor:
            self.register_buffer(f"noise_{level}", noise(level, shape))
            return self._noise(level, shape)

        with torch.no_grad():
            self._mean_of_samples(torch.zeros(1, self.mean.numel(), *size), keep)

    def _noise(self, level: int, shape: torch.Size) -> Tensor:
        return self.get_buffer(f"noise_{level}")

    def _mean_of_samples(self, x: Tensor, noise: LatentNoise) -> Tensor:
        method: Any = self.method
        many = [f.expand(self.n_samples, *f.shape[1:]) for f in method.encode(x)]
        return method.sample_posterior(many, noise).mean(0, keepdim=True)

    def forward(self, image: Tensor) -> Tensor:
        """Return the denoised image, shape (1, c, *size), as `image` is."""
        x = (image - self.mean) / self.std
        if self.n_samples:
            s = self._mean_of_samples(x, self._noise)
        else:
            s = self.method.estimate(x)
        return s * self.std + self.mean
