"""The denoiser: a generator of events over tiles and posterior samples."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from napari_cosdd.devices import (
    choose_device,
    is_out_of_memory,
    on_device,
    told_if_lost,
)
from napari_cosdd.errors import NotEnoughMemoryError
from napari_cosdd.events import Event, SampleDone, TileDone, Warned
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.capabilities import Predicts
from napari_cosdd.methods.outputs import DEVIATION, MEAN, sample_output
from napari_cosdd.models.compatibility import check_compatible
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.blocks import channels_last, weights_channels_last
from napari_cosdd.prediction.brightness import blur_of, with_brightness_of
from napari_cosdd.prediction.memory import room_for
from napari_cosdd.prediction.moments import RunningMoments
from napari_cosdd.prediction.outputs import Targets, draws_samples
from napari_cosdd.prediction.sampling import draw_samples
from napari_cosdd.prediction.tile_grid import Tile, pixels_lost
from napari_cosdd.prediction.tiles import TileTarget, pieces_of, read_tile, tiles_for
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.threads import threads_for


def denoise(
    model: TrainedModel,
    source: Stack,
    targets: Targets,
    config: PredictionConfig,
    *,
    work: Sequence[tuple[int, Tile]] | None = None,
    live: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, bool]:
    """Denoise every image of `source` into `targets`.

    The bottom-up pass of a tile is computed once per view and shared by the samples of
    that view. Sample k has the same latent noise in every tile, so it has no seams.

    Parameters
    ----------
    model : TrainedModel
        Trained model.
    source : Stack
        Noisy images; read tile by tile.
    targets : Targets
        Outputs to write, tile by tile.
    config : PredictionConfig
        Settings.
    work : sequence of (image, tile), optional
        Tiles to denoise, of those that `tiles_for` returns; default: all.
    live : bool
        Write mean and deviation after each batch of samples. Otherwise they are
        written once, after the last batch, as suits slow disks.
    stop : callable
        Polled between batches of samples.

    Returns
    -------
    bool
        Whether all work is done; False if stopped.

    Raises
    ------
    BadInputError
        If the settings ask for what the model lacks.
    BadModelFileError
        If the model is for another number of channels.
    NotEnoughMemoryError
        If memory runs out with a single sample.
    """
    check_compatible(model, source, config)
    device = choose_device(config.device)
    with (
        told_if_lost("what was written stays"),
        on_device(model.method, device),
        threads_for(device) as adapt_threads,
    ):
        weights_channels_last(model.method)
        if work is None:
            tiles = tiles_for(model, source, config)
            work = [(n, tile) for n in range(source.n_images) for tile in tiles]
        task = _Task(model, targets, config, live, stop, adapt_threads)
        return (yield from _denoise_all(task, source, work, device))


class _Task(NamedTuple):
    """What the denoising of every tile needs; see `denoise`."""

    model: TrainedModel
    targets: Targets
    config: PredictionConfig
    live: bool
    stop: Callable[[], bool]
    adapt_threads: Callable[[], None]


def _denoise_all(
    task: _Task,
    source: Stack,
    work: Sequence[tuple[int, Tile]],
    device: torch.device,
) -> Generator[Event, None, bool]:
    """Denoise tile after tile; return False if stopped before the end."""
    model, config = task.model, task.config
    began, room = time.perf_counter(), room_for(model.method, device)
    if any(tile.pixels > room for _, tile in work):
        yield Warned("memory is short: tiles are denoised in smaller pieces")
    for done, (image, tile) in enumerate(work, start=1):
        for piece in pieces_of(tile, model, config, room):
            if task.stop():
                return False
            task.adapt_threads()
            tile_target = TileTarget(model.spec, image, piece)
            with _told_if_memory_is_out():
                x = channels_last(read_tile(model, source, image, piece).to(device))
                whole = yield from _denoise_tile(task, x, tile_target)
            if not whole:
                return False
        spent = time.perf_counter() - began
        rest = spent * (len(work) - done) / done
        yield TileDone(done, len(work), spent, rest)
    return True


def _denoise_tile(
    task: _Task, x: Tensor, tile_target: TileTarget
) -> Generator[Event, None, bool]:
    """Denoise and write a tile; return False if stopped."""
    model, targets, config = task.model, task.targets, task.config
    method, sigma = model.method, blur_of(config, model.spec)
    if isinstance(method, Predicts) and not draws_samples(method, config):
        with torch.inference_mode():
            predicted = method.predict(x)
        for output in method.outputs:
            values = predicted[output.name].float()
            if output == MEAN and sigma:
                values = with_brightness_of(x, values, sigma, lost=())
            tile_target.write(targets, output, values[0])
        return True
    lost = [pixels_lost(m) for m in method.tile_multiple()]
    moments = RunningMoments(x[0], mirrored=config.antithetic)
    numbers = {output.index for output in targets if output.index is not None}
    only = numbers if len(numbers) == len(targets) else None
    for result in draw_samples(model, x, tile_target, config, only):
        if isinstance(result, Warned):
            yield result
            continue
        draws, samples = result
        moments.add(samples)
        for draw, sample in zip(draws, samples, strict=True):
            tile_target.write(targets, sample_output(draw.number), sample)
        if task.live or moments.n == config.n_samples:
            mean = moments.mean
            if sigma:
                mean = with_brightness_of(x, mean[None], sigma, lost)[0]
            tile_target.write(targets, MEAN, mean)
            tile_target.write(targets, DEVIATION, moments.deviation)
        yield SampleDone(moments.n, config.n_samples)
        if task.stop() and moments.n < config.n_samples:
            return False
        task.adapt_threads()
    return True


@contextmanager
def _told_if_memory_is_out() -> Iterator[None]:
    """Turn lack of memory for a single sample into an error that names a remedy."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise NotEnoughMemoryError(
            f"memory ran out with a single sample; use a smaller tile size ({error})"
        ) from error
