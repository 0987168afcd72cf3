"""The posterior samples of a tile: which noise and which view each has."""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from napari_cosdd.devices import free_memory, is_out_of_memory
from napari_cosdd.events import Warned
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.blocks import channels_last
from napari_cosdd.prediction.latent_noise import PositionNoise
from napari_cosdd.prediction.memory import samples_at_once
from napari_cosdd.prediction.tile_grid import pixels_lost
from napari_cosdd.prediction.tiles import TileTarget
from napari_cosdd.settings.prediction import PredictionConfig


class SampleDraw(NamedTuple):
    """One sample: its number, which noise it has, and whether that is mirrored."""

    number: int
    noise: int
    sign: int


class View(NamedTuple):
    """The tile shifted by some pixels per spatial axis, and flipped along some axes.

    Mirrored pairs come one after the other.
    """

    shifts: tuple[int, ...]
    flipped: tuple[int, ...]
    draws: tuple[SampleDraw, ...]

    def of(self, x: Tensor) -> Tensor:
        """Return (n, c, *spatial) as this view has it; the last pixels are lost."""
        for axis, n in enumerate(self.shifts, start=2):
            mirrored = x.narrow(axis, 0, n).flip(axis)
            x = torch.cat([mirrored, x.narrow(axis, 0, x.shape[axis] - n)], axis)
        return x.flip([2 + axis for axis in self.flipped])

    def back(self, s: Tensor) -> Tensor:
        """Return (n, c, *spatial) of this view as the tile has it."""
        s = s.flip([2 + axis for axis in self.flipped])
        return s.roll([-n for n in self.shifts], list(range(2, s.ndim)))


def test_time_views(model: TrainedModel, config: PredictionConfig) -> list[View]:
    """Return the views that a tile's samples are drawn from, the tile itself first.

    The law of the noise is the same in all of them, so each has as good a claim to
    the posterior; their average has less of the network's own error. Flips: Lim et
    al., "Enhanced deep residual networks", CVPRW 2017, section 3.4. Shifts, by which
    the network's strides put other pixels together: Coifman & Donoho,
    "Translation-invariant de-noising", 1995. Views take turns.
    """
    flips = _subsets(model.symmetries)
    multiple = model.method.tile_multiple()
    n = max(len(flips), *(pixels_lost(m) + 1 for m in multiple))
    n = n if config.test_time_views else 1
    found = [
        View(_shifts(multiple, k), flips[k % len(flips)], tuple(_draws(config, k, n)))
        for k in range(n)
    ]
    return [view for view in found if view.draws]


def _subsets(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return all subsets, from the empty one to the whole."""
    return [c for n in range(len(axes) + 1) for c in combinations(axes, n)]


def _shifts(multiple: Sequence[int], k: int) -> tuple[int, ...]:
    """Return the pixels that view `k` is shifted by along each axis.

    The last axis counts in Gray code: so four views of a plane have all four ways in
    which a first stride of 2 puts its pixels together.
    """
    numbers = [k] * (len(multiple) - 1) + [k ^ (k >> 1)]
    return tuple(
        i % (pixels_lost(m) + 1) for i, m in zip(numbers, multiple, strict=True)
    )


def _draws(config: PredictionConfig, first: int, step: int) -> Iterator[SampleDraw]:
    """Return every so many draws.

    The mirror images have the last numbers, so that the first half of all samples
    are independent of each other.
    """
    n = config.n_samples
    n_noises = (n + 1) // 2 if config.antithetic else n
    for k in range(first, n_noises, step):
        yield SampleDraw(k, k, 1)
        if n_noises + k < n:
            yield SampleDraw(n_noises + k, k, -1)


def draw_samples(
    model: TrainedModel, x: Tensor, tile_target: TileTarget, config: PredictionConfig
) -> Iterator[Warned | tuple[Sequence[SampleDraw], Tensor]]:
    """SampleDraw all samples of a tile, as many at a time as memory holds.

    Parameters
    ----------
    model : TrainedModel
        What draws: of a method that does.
    x : Tensor, shape (1, c, *spatial)
        The normalized tile.
    tile_target : TileTarget
        Where it lies: the latent noise is a function of that.
    config : PredictionConfig
        How many samples, and how.

    Yields
    ------
    draws, samples : sequence of SampleDraw, Tensor of shape (n, c, *spatial)
        Or a warning that fewer are drawn at a time from now on.
    """
    method: Any = model.method
    batch = config.batch_size or samples_at_once(
        method, math.prod(x.shape[2:]), x.device
    )
    for view in test_time_views(model, config):
        with torch.inference_mode():
            features = method.encode(channels_last(view.of(x)))
        left = view.draws
        while left:
            draws = left[:batch]
            noise = PositionNoise(
                [d.noise for d in draws],
                x.shape[2:],
                x.device,
                seed=config.seed,
                image=tile_target.image,
                origin=tile_target.tile.origin,
                signs=[d.sign for d in draws],
                flipped=view.flipped,
            )
            samples: Tensor | None = None
            try:
                with torch.inference_mode():
                    samples = method.sample_posterior(
                        [f.expand(len(draws), *f.shape[1:]) for f in features], noise
                    ).signal.float()
            except (RuntimeError, MemoryError) as error:
                if batch == 1 or not is_out_of_memory(error):
                    raise
            if samples is None:  # out here, where the error holds no tensors any more
                free_memory(x.device)
                batch //= 2
                yield Warned(f"memory ran out: going on with {batch} samples at a time")
                continue
            left = left[batch:]
            yield draws, view.back(samples)
        del features  # before those of the next view take their memory
