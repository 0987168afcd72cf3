"""The posterior samples of a tile: the noise and the view of each."""

import math
from collections.abc import Container, Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from napari_cosdd.devices import is_out_of_memory, release_cache
from napari_cosdd.events import Warned
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.blocks import channels_last
from napari_cosdd.prediction.latent_noise import PositionNoise
from napari_cosdd.prediction.memory import samples_at_once
from napari_cosdd.prediction.tile_grid import pixels_lost
from napari_cosdd.prediction.tiles import TileTarget
from napari_cosdd.settings.prediction import PredictionConfig


class SampleDraw(NamedTuple):
    """One sample: its number, the number of its noise, and the sign of that noise."""

    number: int
    noise: int
    sign: int


class View(NamedTuple):
    """The tile shifted by some pixels per spatial axis, and flipped along some axes.

    Its draws are listed with mirrored pairs next to each other.
    """

    shifts: tuple[int, ...]
    flipped: tuple[int, ...]
    draws: tuple[SampleDraw, ...]

    def of(self, x: Tensor) -> Tensor:
        """Shift and flip images (n, c, *spatial); the shift drops the last pixels."""
        for axis, n in enumerate(self.shifts, start=2):
            mirrored = x.narrow(axis, 0, n).flip(axis)
            x = torch.cat([mirrored, x.narrow(axis, 0, x.shape[axis] - n)], axis)
        return x.flip([2 + axis for axis in self.flipped])

    def back(self, s: Tensor) -> Tensor:
        """Undo the shift and the flip on images (n, c, *spatial)."""
        s = s.flip([2 + axis for axis in self.flipped])
        return s.roll([-n for n in self.shifts], list(range(2, s.ndim)))


def test_time_views(model: TrainedModel, config: PredictionConfig) -> list[View]:
    """Return the views of a tile that its samples are drawn from, itself first.

    All views have the same distribution of the noise, so each gives equally valid
    samples; averaging over views reduces the network's own error. Flips: Lim et al.,
    "Enhanced deep residual networks", CVPRW 2017, section 3.4. Shifts change which
    pixels the network's strides combine: Coifman & Donoho, "Translation-invariant
    de-noising", 1995. Samples are drawn from the views in turn.
    """
    flips = _subsets(model.symmetries)
    multiple = model.method.tile_multiple()
    n = max(len(flips), *(pixels_lost(m) + 1 for m in multiple))
    n = n if config.test_time_views else 1
    views = [
        View(_shifts(multiple, k), flips[k % len(flips)], tuple(_draws(config, k, n)))
        for k in range(n)
    ]
    return [view for view in views if view.draws]


def _subsets(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return all subsets, the empty one first, the full set last."""
    return [c for n in range(len(axes) + 1) for c in combinations(axes, n)]


def _shifts(multiple: Sequence[int], k: int) -> tuple[int, ...]:
    """Return the shift of view `k` along each axis, pixels.

    The last axis counts in Gray code, so that four views of a plane cover all four
    ways in which a first stride of 2 combines its pixels.
    """
    numbers = [k] * (len(multiple) - 1) + [k ^ (k >> 1)]
    return tuple(
        i % (pixels_lost(m) + 1) for i, m in zip(numbers, multiple, strict=True)
    )


def _draws(config: PredictionConfig, first: int, step: int) -> Iterator[SampleDraw]:
    """Yield every `step`-th draw from `first` on, with its mirror image.

    Mirror images have the last numbers, so that the first half of all samples are
    independent of each other.
    """
    n = config.n_samples
    n_noises = (n + 1) // 2 if config.antithetic else n
    for k in range(first, n_noises, step):
        yield SampleDraw(k, k, 1)
        if n_noises + k < n:
            yield SampleDraw(n_noises + k, k, -1)


def draw_samples(
    model: TrainedModel,
    x: Tensor,
    tile_target: TileTarget,
    config: PredictionConfig,
    only: Container[int] | None = None,
) -> Iterator[Warned | tuple[Sequence[SampleDraw], Tensor]]:
    """Draw all samples of a tile, as many at a time as memory holds.

    Parameters
    ----------
    model : TrainedModel
        Trained model of a method that draws samples.
    x : Tensor, shape (1, c, *spatial)
        The normalized tile.
    tile_target : TileTarget
        Position of the tile, of which the latent noise is a function.
    config : PredictionConfig
        Number of samples and other settings.
    only : container of int, optional
        Numbers of the samples to draw, from 0; default: all.

    Yields
    ------
    draws, samples : sequence of SampleDraw, Tensor of shape (n, c, *spatial)
        Alternatively, a warning that fewer samples are drawn at a time from now on.
    """
    method: Any = model.method
    batch = config.batch_size or samples_at_once(
        method, math.prod(x.shape[2:]), x.device
    )
    for view in test_time_views(model, config):
        left = [d for d in view.draws if only is None or d.number in only]
        if not left:
            continue
        with torch.inference_mode():
            features = method.encode(channels_last(view.of(x)))
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
            if samples is None:  # here the error no longer holds tensors
                release_cache(x.device)
                batch //= 2
                yield Warned(f"memory ran out: going on with {batch} samples at a time")
                continue
            left = left[batch:]
            yield draws, view.back(samples)
        del features  # frees memory for those of the next view
