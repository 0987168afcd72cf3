"""A trained method as one network, grey levels in and out."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.ladder_vae import LatentNoise
from napari_cosdd.prediction.latent_noise import PositionNoise
from napari_cosdd.prediction.sampling import View, test_time_views
from napari_cosdd.prediction.tile_grid import tile_grid
from napari_cosdd.settings.prediction import PredictionConfig


class GreyLevels(nn.Module):
    """A trained method from grey levels to grey levels, for one size of tile.

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    size : sequence of int
        Of a tile, pixels per spatial axis: multiples of the network's stride.
    n_samples : int
        Posterior samples of the mean, in mirrored pairs; 0 asks for the point
        estimate.
    """

    mean: Tensor
    std: Tensor
    result_mean: Tensor
    result_std: Tensor

    def __init__(self, model: TrainedModel, size: Sequence[int], n_samples: int):
        super().__init__()
        self.method = deepcopy(model.method).requires_grad_(False)
        self.n_samples = n_samples
        scale = model.spec.normalization
        column = (1, -1, *(1,) * len(size))
        self.register_buffer("mean", torch.tensor(scale.mean).reshape(column))
        self.register_buffer("std", torch.tensor(scale.std).reshape(column))
        results = model.spec.results
        self.register_buffer("result_mean", torch.tensor(results.mean).reshape(column))
        self.register_buffer("result_std", torch.tensor(results.std).reshape(column))
        nothing = [0] * len(size)
        (self.tile,) = tile_grid(size, size, nothing, model.method.tile_multiple())
        if n_samples:
            self.views = test_time_views(model, PredictionConfig(n_samples=n_samples))
            self._keep_noise([r.stop for r in self.tile.read])

    def _keep_noise(self, size: Sequence[int]) -> None:
        """Draw the noise of every view and level once, to be part of the network."""
        cpu = torch.device("cpu")

        def keep(view: View) -> LatentNoise:
            noises, signs = [d.noise for d in view.draws], [d.sign for d in view.draws]
            drawn = PositionNoise(noises, size, cpu, signs=signs, flipped=view.flipped)

            def kept(level: int, shape: torch.Size) -> Tensor:
                noise = drawn(level, shape)
                self.register_buffer(_name(view, level), noise)
                return noise

            return kept

        with torch.no_grad():
            self._mean_of_samples(torch.zeros(1, self.mean.numel(), *size), keep)

    def _kept(self, view: View) -> LatentNoise:
        return lambda level, _: self.get_buffer(_name(view, level))

    def _mean_of_samples(
        self, x: Tensor, noise: Callable[[View], LatentNoise]
    ) -> Tensor:
        method: Any = self.method
        total = torch.zeros_like(x)
        for view in self.views:
            n = len(view.draws)
            many = [f.expand(n, *f.shape[1:]) for f in method.encode(view.of(x))]
            drawn = method.sample_posterior(many, noise(view)).signal
            total = total + view.back(drawn.sum(0, keepdim=True))
        return total / self.n_samples

    def forward(self, image: Tensor) -> Tensor:
        """Return the denoised image, shape (1, c, *size), as `image` is."""
        x = self._widened((image - self.mean) / self.std)
        if self.n_samples:
            s = self._mean_of_samples(x, self._kept)
        else:
            method: Any = self.method
            s = method.predict(x)[MEAN.name]
        s = s[(slice(None), slice(None), *self.tile.inner)]
        return s * self.result_std + self.result_mean

    def _widened(self, x: Tensor) -> Tensor:
        """Mirror the end of the image beyond it, as far as a tile reads."""
        for axis, read in enumerate(self.tile.read, start=2):
            inside, beyond = x.shape[axis], read.stop - x.shape[axis]
            mirrored = x.narrow(axis, inside - beyond, beyond).flip(axis)
            x = torch.cat([x, mirrored], axis)
        return x


def _name(view: View, level: int) -> str:
    """Return the name under which the noise of a view and level is kept."""
    shifts, flips = (
        "".join(map(str, numbers)) for numbers in (view.shifts, view.flipped)
    )
    return f"noise_shifted{shifts}_flipped{flips}_{level}"
