"""The posterior samples of a tile: which noise and which view each has."""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from napari_cosdd.devices import free_memory, is_out_of_memory
from napari_cosdd.events import Warned
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.inference.latent_noise import PositionNoise
from napari_cosdd.inference.memory import samples_at_once
from napari_cosdd.inference.tiles import Place
from napari_cosdd.nets.blocks import channels_last
from napari_cosdd.training.checkpoint import TrainedModel


class Draw(NamedTuple):
    """One sample: its number, which noise it has, and whether that is mirrored."""

    number: int
    noise: int
    sign: int


class View(NamedTuple):
    """The tile flipped along some spatial axes, and what is drawn of it.

    Mirrored pairs come one after the other.
    """

    flipped: tuple[int, ...]
    draws: tuple[Draw, ...]

    def flip(self, x: Tensor) -> Tensor:
        """Return (n, c, *spatial) as this view has it, or from it as it was."""
        return x.flip([2 + axis for axis in self.flipped])


def views(model: TrainedModel, config: InferenceConfig) -> list[View]:
    """Return the views that a tile's samples are drawn from, the tile itself first.

    The law of the noise is the same in all of them, so each has as good a claim to
    the posterior; their average has less of the network's own error (Lim et al.,
    "Enhanced deep residual networks", CVPRW 2017, section 3.4). Views take turns.
    """
    axes = model.symmetries if config.flip else ()
    flips = [c for n in range(len(axes) + 1) for c in combinations(axes, n)]
    drawn = [tuple(_draws(config, k, len(flips))) for k in range(len(flips))]
    return [View(f, draws) for f, draws in zip(flips, drawn, strict=True) if draws]


def _draws(config: InferenceConfig, first: int, step: int) -> Iterator[Draw]:
    """Return every so many draws.

    The mirror images have the last numbers, so that the first half of all samples
    are independent of each other.
    """
    n = config.n_samples
    n_noises = (n + 1) // 2 if config.antithetic else n
    for k in range(first, n_noises, step):
        yield Draw(k, k, 1)
        if n_noises + k < n:
            yield Draw(n_noises + k, k, -1)


def draw_samples(
    model: TrainedModel, x: Tensor, place: Place, config: InferenceConfig
) -> Iterator[Warned | tuple[Sequence[Draw], Tensor]]:
    """Draw all samples of a tile, as many at a time as memory holds.

    Parameters
    ----------
    model : TrainedModel
        What draws: of a method that does.
    x : Tensor, shape (1, c, *spatial)
        The normalized tile.
    place : Place
        Where it lies: the latent noise is a function of that.
    config : InferenceConfig
        How many samples, and how.

    Yields
    ------
    draws, samples : sequence of Draw, Tensor of shape (n, c, *spatial)
        Or a warning that fewer are drawn at a time from now on.
    """
    method: Any = model.method
    batch = config.batch_size or samples_at_once(
        method, math.prod(x.shape[2:]), x.device
    )
    for view in views(model, config):
        with torch.inference_mode():
            features = method.encode(channels_last(view.flip(x)))
        left = view.draws
        while left:
            draws = left[:batch]
            noise = PositionNoise(
                [d.noise for d in draws],
                x.shape[2:],
                x.device,
                seed=config.seed,
                image=place.image,
                origin=place.tile.origin,
                signs=[d.sign for d in draws],
                flipped=view.flipped,
            )
            samples: Tensor | None = None
            try:
                with torch.inference_mode():
                    expanded = [f.expand(len(draws), *f.shape[1:]) for f in features]
                    samples = method.sample_posterior(expanded, noise).float()
            except (RuntimeError, MemoryError) as error:
                if batch == 1 or not is_out_of_memory(error):
                    raise
            if samples is None:  # out here, where the error holds no tensors any more
                free_memory(x.device)
                batch //= 2
                yield Warned(f"memory ran out: going on with {batch} samples at a time")
                continue
            left = left[batch:]
            yield draws, view.flip(samples)
        del features  # before those of the next view take their memory
