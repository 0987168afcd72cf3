"""Gathering of evidence: a model is applied to a part of an image."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_cosdd.checks.evidence import Evidence
from napari_cosdd.checks.measures import Floats
from napari_cosdd.devices import choose_device, on_device
from napari_cosdd.errors import BadInputError, StoppedError
from napari_cosdd.events import Denoised
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.capabilities import DrawsNoise
from napari_cosdd.methods.values import Batch
from napari_cosdd.models.compatibility import (
    check_compatible,
    refuse_grids,
    unlike_training,
)
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.analysis import noise_report
from napari_cosdd.prediction.generate import redraw_noise
from napari_cosdd.prediction.in_memory import denoising
from napari_cosdd.prediction.latent_noise import PositionNoise
from napari_cosdd.prediction.tile_grid import tile_grid
from napari_cosdd.prediction.tiles import read_tile
from napari_cosdd.settings.prediction import PredictionConfig

#: Largest side of the examined box, pixels; half of it for volumes.
SIDE = 512
#: Largest depth of the examined box, pixels.
DEPTH = 16
#: Number of examined images, with one box each; one for volumes.
IMAGES = 3
#: Number of posterior samples.
SAMPLES = 8
#: Number of samples on which noise is redrawn.
REDRAWN = 2
#: Number of samples with a reference: 39 give intervals of 50, 80 and 95 %.
SAMPLES_CALIBRATED = 39


def gather(
    model: TrainedModel,
    image: Image,
    *,
    reference: Image | None = None,
    fill: Fill | None = None,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> Evidence:
    """Denoise the busiest part of an image and redraw its noise.

    Parameters
    ----------
    model, image
        Trained model, and image to judge it on.
    reference, fill, device, stop
        As in `napari_cosdd.api.check`.

    Raises
    ------
    BadInputError
        If the image is one-dimensional or too small; if the reference has another
        shape, is constant or is not finite.
    BadModelFileError
        If the model is for other channels or dimensions.
    StoppedError
        Once `stop` returns True.
    """
    method, spec = model.method, model.spec
    if spec.ndim == 1:
        raise BadInputError("the check looks at planes of y and x, not at single lines")
    refuse_grids(model, "the check of a model is not possible")
    fill = model.filling(fill)
    source = stack_of(image, spec.ndim, fill)
    check_compatible(model, source)
    where = _busiest(source, stack_of(image, spec.ndim, "nothing"))
    part = where.cut(source)
    truth = None
    if reference is not None:
        _check_same_shape(reference, image)
        truth = _planes(model, where.cut(stack_of(reference, spec.ndim, fill)).data)
        _check_says_something(truth)
    raw = noise_report(stack_of(image, 2, fill))
    supervised = method.needs.target != "none"
    n_samples = SAMPLES if reference is None else SAMPLES_CALIBRATED
    solutions = _solutions(model, part, n_samples, device, stop)
    redrawn = np.empty(0)
    if isinstance(method, DrawsNoise):
        images = redraw_noise(model, part, REDRAWN, 0, device=device, stop=stop)
        redrawn = np.stack([_planes(model, one.data) for one in images])
    _go_on(stop)
    losses, quantiles = _judged(model, part, device)
    problem = method.problem(losses) if losses else None
    return Evidence(
        noisy=_planes(model, part.data),
        solutions=solutions,
        redrawn=redrawn,
        quantiles=quantiles,
        raw=raw,
        needs=method.needs,
        axis=raw.facts.axis if supervised else method.noise_letter,
        reach=method.noise_reach,
        losses=losses,
        problem=problem,
        learned=method.learned_in_words(losses) if losses else "",
        unlike=tuple(unlike_training(model, image)),
        trained_on=model.trained_on,
        history=model.history,
        reference=truth,
    )


def _check_same_shape(reference: Image, image: Image) -> None:
    if reference.data.shape != image.data.shape or reference.axes != image.axes:
        raise BadInputError(
            f"the reference has axes {reference.axes} and shape "
            f"{reference.data.shape}, the image {image.axes} {image.data.shape}"
        )


def _check_says_something(truth: Floats) -> None:
    if not np.isfinite(truth).all() or not np.ptp(truth) > 0:
        raise BadInputError(
            "the reference is constant or not finite in the part that is examined"
        )


def _go_on(stop: Callable[[], bool]) -> None:
    if stop():
        raise StoppedError("the check was stopped")


class _Where(NamedTuple):
    """The examined part: indices of images, and a box in each."""

    images: list[int]
    box: tuple[slice, ...]

    def cut(self, source: Stack) -> Image:
        """Return the part, (n, c, *spatial)."""
        data = np.stack([source.read(n, self.box) for n in self.images])
        return Image(data, "SC" + source.spatial, "part")


def _busiest(source: Stack, raw: Stack) -> _Where:
    """Choose images, and the box with fewest missing pixels, then most contrast.

    `raw` is the source before missing pixels were filled.
    """
    volume = len(source.size) == 3
    n = 1 if volume else IMAGES
    images = np.unique(np.linspace(0, source.n_images - 1, n).astype(int)).tolist()
    largest = (DEPTH, SIDE // 2, SIDE // 2) if volume else (SIDE, SIDE)
    size = [min(s, m) for s, m in zip(source.size, largest, strict=True)]

    def rank(box: tuple[slice, ...]) -> tuple[int, float]:
        missing = ~np.isfinite(raw.read(images[0], box))
        return int(missing.sum()), -float(source.read(images[0], box).std())

    return _Where(images, min(_boxes(source.size, size), key=rank))


def _boxes(size: tuple[int, ...], box: list[int]) -> list[tuple[slice, ...]]:
    """Return boxes at the centre and the corners of the image."""
    room = [s - b for s, b in zip(size, box, strict=True)]
    shares = [(0.5, 0.5), (0.1, 0.1), (0.1, 0.9), (0.9, 0.1), (0.9, 0.9)]
    corners = [[round(room[-2] * y), round(room[-1] * x)] for y, x in shares]
    lead = [r // 2 for r in room[:-2]]
    return [
        tuple(slice(a, a + b) for a, b in zip([*lead, *corner], box, strict=True))
        for corner in corners
    ]


def _planes(model: TrainedModel, pixels: Any) -> Floats:
    """Normalize images (n, c, *spatial) and stack all their planes, (m, y, x)."""
    spec = model.spec
    normalized = [spec.normalization.apply(np.asarray(p), spec.ndim) for p in pixels]
    return _flat(normalized)


def _flat(images: list[NDArray[Any]]) -> Floats:
    """Stack all planes of images (c, *spatial), (m, y, x)."""
    stacked = np.stack(images)
    return stacked.reshape(-1, *stacked.shape[-2:]).astype(np.float64)


def _solutions(
    model: TrainedModel,
    part: Image,
    n_samples: int,
    device: str,
    stop: Callable[[], bool],
) -> Floats:
    """Return independent posterior samples or the single estimate, (k, m, y, x)."""
    config = PredictionConfig(  # one view, as for redrawn noise
        n_samples=n_samples,
        n_kept=n_samples,
        antithetic=False,
        test_time_views=False,
        device=device,
    )
    # The part was filled before.
    for event in denoising(model, part, config, fill="nothing", stop=stop):
        _go_on(stop)
        if isinstance(event, Denoised):
            prediction = event.result
            samples = (
                prediction.samples if len(prediction.samples) else prediction.mean[None]
            )
            return np.stack([_planes(model, one) for one in samples])
    raise StoppedError("the check was stopped")


def _judged(
    model: TrainedModel, part: Image, device: str
) -> tuple[dict[str, float], Floats]:
    """Return the mean losses, and the quantile of each pixel, (m, y, x).

    The quantiles are empty for a method without a model of the noise.
    """
    method, chosen = model.method, choose_device(device)
    images = Stack(part.data, part.axes, model.spec.ndim)
    generator = torch.Generator(chosen).manual_seed(0)
    sums: dict[str, float] = {}
    quantiles = []
    with on_device(method, chosen), torch.inference_mode():
        for n in range(images.n_images):
            tile, inner = _whole(model, images, n)
            x = tile.to(chosen)
            if method.needs.target == "none":  # losses need no target
                losses = method.losses(Batch(x), generator)
                for key, value in {**losses.objectives, **losses.metrics}.items():
                    sums[key] = sums.get(key, 0.0) + float(value) / images.n_images
            if isinstance(method, DrawsNoise):
                noise = PositionNoise([0], x.shape[2:], chosen, image=n)
                draw = method.sample_posterior(method.encode(x), noise)
                cdf = method.cdf(x, draw)[0].cpu().numpy()
                quantiles.append(cdf[(slice(None), *inner)])
    return sums, _flat(quantiles) if quantiles else np.empty(0)


def _whole(
    model: TrainedModel, images: Stack, n: int
) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Return an image as one padded tile (1, c, *padded), and its region in that."""
    multiple = model.method.tile_multiple()
    up = [-(-s // m) * m for s, m in zip(images.size, multiple, strict=True)]
    (tile,) = tile_grid(images.size, up, (0,) * len(up), multiple)
    return read_tile(model, images, n, tile), tile.inner
