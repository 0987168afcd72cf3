"""The denoiser: a generator of events over tiles and posterior samples."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor

from napari_cosdd.axes import Stack
from napari_cosdd.devices import (
    choose_device,
    is_out_of_memory,
    on_device,
    told_if_lost,
)
from napari_cosdd.errors import BadInputError, BadModelFileError, NotEnoughMemoryError
from napari_cosdd.events import Denoised, Event, SampleDone, TileDone, Warned
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.inference.draws import draw_samples
from napari_cosdd.inference.memory import room_for
from napari_cosdd.inference.moments import RunningMoments
from napari_cosdd.inference.tiler import Tile
from napari_cosdd.inference.tiles import Place, pieces_of, read_tile, tiles_for
from napari_cosdd.methods.base import GenerativeMethod, Method
from napari_cosdd.nets.blocks import channels_last, weights_channels_last
from napari_cosdd.training.checkpoint import TrainedModel


class Outputs(NamedTuple):
    """Where results are written: arrays of the source's axes, as stacks.

    Attributes
    ----------
    mean : Stack
        MMSE estimate, grey levels.
    deviation : Stack or None
        Posterior standard deviation per pixel, grey levels.
    samples : tuple of Stack
        Kept samples.
    """

    mean: Stack
    deviation: Stack | None = None
    samples: tuple[Stack, ...] = ()


def denoise(
    model: TrainedModel,
    source: Stack,
    outputs: Outputs,
    config: InferenceConfig,
    *,
    work: Sequence[tuple[int, Tile]] | None = None,
    live: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Denoise every image of `source` into `outputs`.

    A tile's bottom-up pass is computed once for each view and shared by all samples of
    it. Sample k is the same draw in every tile, so samples have no seams.

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    source : Stack
        Noisy images; read tile by tile.
    outputs : Outputs
        Written tile by tile.
    config : InferenceConfig
        Settings.
    work : sequence of (image, tile), optional
        What to denoise, of the tiles that `tiles_for` gives; default: everything.
    live : bool
        Write mean and deviation after each batch of samples; else once, with the
        last: writing to disk is slow.
    stop : callable
        Polled between batches of samples; True ends without Denoised.

    Raises
    ------
    BadInputError
        If the direct mode is asked of a model without a direct denoiser.
    BadModelFileError
        If the model is for another number of channels.
    NotEnoughMemoryError
        If memory runs out with a single sample.
    """
    check_fits(model, source, config.direct)
    device = choose_device(config.device)
    with told_if_lost("what was written stays"), on_device(model.method, device):
        weights_channels_last(model.method)
        if work is None:
            tiles = tiles_for(model, source, config)
            work = [(n, tile) for n in range(source.n_images) for tile in tiles]
        finished = yield from _denoise_all(
            model, source, outputs, config, work, live, device, stop
        )
    if finished:
        yield Denoised(outputs)


def _denoise_all(
    model: TrainedModel,
    source: Stack,
    outputs: Outputs,
    config: InferenceConfig,
    work: Sequence[tuple[int, Tile]],
    live: bool,
    device: torch.device,
    stop: Callable[[], bool],
) -> Generator[Event, None, bool]:
    """Denoise tile after tile; return False if stopped before the end."""
    began, room = time.perf_counter(), room_for(model.method, device)
    if any(tile.pixels > room for _, tile in work):
        yield Warned("memory is short: tiles are denoised in smaller pieces")
    for done, (image, tile) in enumerate(work, start=1):
        for piece in pieces_of(tile, model, config, room):
            if stop():
                return False
            place = Place(model.spec, image, piece)
            with _in_words():
                x = channels_last(read_tile(model, source, image, piece).to(device))
                whole = yield from _denoise_tile(
                    model.method, x, place, outputs, config, live, stop
                )
            if not whole:
                return False
        spent = time.perf_counter() - began
        rest = spent * (len(work) - done) / done
        yield TileDone(image, tile.core, done, len(work), spent, rest)
    return True


def check_fits(model: TrainedModel, source: Stack, direct: bool = False) -> None:
    """Refuse, before any work, an image that the model is not for."""
    if len(source.size) != model.spec.ndim:
        raise BadModelFileError(
            f"the model is for {model.spec.ndim} spatial axes, the image is seen "
            f"with {len(source.size)}"
        )
    if source.n_channels != model.spec.n_channels:
        raise BadModelFileError(
            f"the model is for {model.spec.n_channels} channels, the image has "
            f"{source.n_channels}"
        )
    if direct and not model.method.has_estimate:
        raise BadInputError(
            "this model was trained without a direct denoiser; train with "
            "--direct-denoiser, or denoise by samples"
        )


def gives_samples(
    method: Method, config: InferenceConfig
) -> TypeGuard[GenerativeMethod]:
    """Whether posterior samples are drawn; else there is a point estimate only."""
    return not config.direct and isinstance(method, GenerativeMethod)


def _denoise_tile(
    method: Method,
    x: Tensor,
    place: Place,
    outputs: Outputs,
    config: InferenceConfig,
    live: bool,
    stop: Callable[[], bool],
) -> Generator[Event, None, bool]:
    """Denoise a tile, written as `live` says; return False if stopped."""
    if not gives_samples(method, config):
        with torch.inference_mode():
            place.write(outputs.mean, method.estimate(x)[0].float())
        return True
    moments = RunningMoments(x[0], mirrored=config.antithetic)
    for drawn in draw_samples(method, x, place, config):
        if isinstance(drawn, Warned):
            yield drawn
            continue
        draws, samples = drawn
        moments.add(samples)
        for draw, sample in zip(draws, samples, strict=True):
            if draw.number < len(outputs.samples):
                place.write(outputs.samples[draw.number], sample)
        if live or moments.n == config.n_samples:
            place.write(outputs.mean, moments.mean)
            if outputs.deviation is not None:
                place.write(outputs.deviation, moments.deviation, scale_only=True)
        yield SampleDone(place.image, place.tile.core, moments.n, config.n_samples)
        if stop() and moments.n < config.n_samples:
            return False
    return True


@contextmanager
def _in_words() -> Iterator[None]:
    """Say what to do where memory runs out with a single sample of a tile."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise NotEnoughMemoryError(
            f"memory ran out with a single sample; use a smaller tile size ({error})"
        ) from error
