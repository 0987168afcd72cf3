"""Abilities of a trained method; the engine tests for them by `isinstance`.

Shapes: n batch, c channel, *spatial one to three axes. Images are normalized.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from napari_cosdd.methods.outputs import Output
from napari_cosdd.methods.values import Batch
from napari_cosdd.nets.ladder_vae import LatentNoise


class Draw(NamedTuple):
    """One draw of the signal for each image of a batch.

    Attributes
    ----------
    signal : Tensor, shape (n, c, *spatial)
        Clean images.
    state : Any
        What the method needs to add noise to the signal, such as the signal code.
    """

    signal: Tensor
    state: Any


@runtime_checkable
class Predicts(Protocol):
    """A method that computes its outputs in one pass, without sampling."""

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Outputs of `predict`, MEAN first; empty if this model has none."""

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return outputs by name, each of the shape of `x`."""


@runtime_checkable
class SamplesSignal(Protocol):
    """A method that draws clean images from the posterior p(s | x)."""

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the bottom-up features, which all samples of `x` share."""

    def sample_posterior(self, features: list[Tensor], noise: LatentNoise) -> Draw:
        """Return one draw for each set of features."""


@runtime_checkable
class DrawsNoise(SamplesSignal, Protocol):
    """A method with a model of the noise, p(x | s) or p(x | z)."""

    def sample_noise(self, draw: Draw, generator: torch.Generator) -> Tensor:
        """Return noisy images of a draw's signal, (n, c, *spatial)."""

    def cdf(self, x: Tensor, draw: Draw) -> Tensor:
        """Return P(X_i <= x_i | earlier pixels, draw), shape of `x`.

        If the model is right, it is uniform and independent over pixels.
        """

    def neg_elbo(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the negative ELBO of a batch, nats per pixel and channel; a scalar."""


@runtime_checkable
class SamplesPrior(DrawsNoise, Protocol):
    """A method that draws new images from the prior p(z)."""

    def sample_prior(self, n: int, size: Sequence[int], noise: LatentNoise) -> Draw:
        """Return `n` new clean images of `size` pixels per axis.

        Each is a multiple of what `tile_multiple` returns.
        """


def predicts(method: object) -> bool:
    """Whether a model computes its outputs in one pass."""
    return isinstance(method, Predicts) and bool(method.outputs)
