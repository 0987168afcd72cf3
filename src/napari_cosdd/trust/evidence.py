"""What a model makes of an image, gathered to be judged.

The judged solutions are posterior samples, not their mean. If the model is right, the
image and a sample are distributed as the image and the true signal are, so image minus
sample is distributed as the noise: centred at every level, correlated as the noise,
and uncorrelated with the sample. The mean has no such property: what it leaves is the
noise without what cannot be told from signal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_cosdd.axes import Stack
from napari_cosdd.data.image import Image
from napari_cosdd.data.inputs import stack_of
from napari_cosdd.devices import choose_device
from napari_cosdd.errors import BadInputError, StoppedError
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.inference.denoise import check_fits, read_tile
from napari_cosdd.inference.generate import redraw_noise
from napari_cosdd.inference.latent_noise import PositionNoise
from napari_cosdd.inference.suits import unlike_training
from napari_cosdd.inference.tiler import tile_grid
from napari_cosdd.methods.base import Batch, GenerativeMethod
from napari_cosdd.noise.report import NoiseReport, report
from napari_cosdd.prediction import denoising
from napari_cosdd.training.checkpoint import TrainedModel

Floats = NDArray[np.float64]
#: Largest box looked at, pixels, and images it is taken from: planes, or stacks.
SIDE, DEPTH, IMAGES = 512, 16, 3
#: Posterior samples, and noise redrawn on some of them.
SAMPLES, REDRAWN = 8, 2
#: Samples where there is a reference: they give intervals of 50, 80 and 95 %.
SAMPLES_CALIBRATED = 39


@dataclass(frozen=True)
class Evidence:
    """What a model makes of a part of an image, in units of its normalization.

    Channels, images and the planes of stacks all lie along n.

    Attributes
    ----------
    noisy : ndarray, shape (n, y, x)
        What is judged.
    solutions : ndarray, shape (k, n, y, x)
        Posterior samples; of a method without samples its one estimate.
    redrawn : ndarray, shape (j, n, y, x)
        Noisy images with the signal of the first samples and noise of the model; empty
        for a method that draws none.
    quantiles : ndarray, shape (n, y, x)
        P(X <= x) of each pixel given those before it and the signal; empty likewise.
    raw : NoiseReport
        The noise as it is seen without the model.
    axis : {"x", "y", "z", "none"}
        Along which the model's noise is correlated.
    reach : int
        Earlier pixels that the model of the noise sees.
    losses : mapping
        Validation losses on the same pixels.
    collapsed : bool
        Whether the latents ignore the signal.
    unlike : tuple of str
        In what the image differs from the training data.
    trained_on, history : mapping
        Of the training.
    reference : ndarray, shape (n, y, x), or None
        The same part of a clean image, where there is one.
    """

    noisy: Floats
    solutions: Floats
    redrawn: Floats
    quantiles: Floats
    raw: NoiseReport
    axis: Literal["x", "y", "z", "none"]
    reach: int
    losses: Mapping[str, float]
    collapsed: bool
    unlike: tuple[str, ...]
    trained_on: Mapping[str, Any]
    history: Mapping[str, list[float | None]]
    reference: Floats | None = None

    @property
    def residuals(self) -> Floats:
        """Image minus solution, (k, n, y, x)."""
        return self.noisy - self.solutions

    @property
    def model_noise(self) -> Floats:
        """The model's own noise: redrawn image minus solution, (j, n, y, x)."""
        return self.redrawn - self.solutions[: len(self.redrawn)]

    @property
    def kl(self) -> list[float]:
        """KL of each level, lowest first, nats per pixel and channel."""
        n = sum(key.startswith("kl_") for key in self.losses)
        return [self.losses[f"kl_{i}"] for i in range(n)]


def gather(
    model: TrainedModel,
    image: Image,
    *,
    reference: Image | None = None,
    mask: bool = False,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> Evidence:
    """Denoise the busiest part of an image and redraw its noise.

    Parameters
    ----------
    model, image, reference, mask, device, stop
        As in `check_model`.

    Raises
    ------
    BadInputError
        If the image has one spatial axis only, or is too small.
    BadModelFileError
        If the model is for other channels or dimensions.
    StoppedError
        Once `stop` says so.
    """
    method, spec = model.method, model.spec
    if spec.ndim == 1:
        raise BadInputError("the check looks at planes of y and x, not at single lines")
    source = stack_of(image, spec.ndim, mask)
    check_fits(model, source)
    unlike = unlike_training(model, image)
    chosen, box = _busiest(source, stack_of(image, spec.ndim, False))
    part = _cut(source, chosen, box)
    truth = None
    if reference is not None:
        if reference.data.shape != image.data.shape or reference.axes != image.axes:
            raise BadInputError(
                f"the reference has axes {reference.axes} and shape "
                f"{reference.data.shape}, the image {image.axes} {image.data.shape}"
            )
        clean = _cut(stack_of(reference, spec.ndim, mask), chosen, box)
        truth = _planes(model, np.asarray(clean.data))
        if not np.isfinite(truth).all() or not np.ptp(truth) > 0:
            raise BadInputError(
                "the reference is constant or not finite where the image is looked at"
            )
    raw = report(stack_of(image, 2, mask))
    n_samples = SAMPLES if reference is None else SAMPLES_CALIBRATED
    samples = _solutions(model, part, n_samples, device, stop)
    images = Stack(part.data, part.axes, spec.ndim)
    redrawn = quantiles = np.empty(0)
    if isinstance(method, GenerativeMethod):
        again = redraw_noise(model, part, REDRAWN, 0, device=device, stop=stop)
        redrawn = np.stack([_planes(model, np.asarray(one.data)) for one in again])
        _go_on(stop)
        quantiles = _quantiles(method, model, images, device)
    _go_on(stop)
    losses = _losses(model, images, device)
    field = getattr(getattr(method, "decoder", None), "receptive_field", None)
    return Evidence(
        noisy=_planes(model, np.asarray(part.data)),
        solutions=samples,
        redrawn=redrawn,
        quantiles=quantiles,
        raw=raw,
        axis=method.config.noise_axis,  # type: ignore[arg-type]  # resolved
        reach=field if field is not None else method.config.receptive_field or 0,
        losses=losses,
        collapsed=method.collapsed(losses),
        unlike=tuple(unlike),
        trained_on=model.trained_on,
        history=model.history,
        reference=truth,
    )


def _go_on(stop: Callable[[], bool]) -> None:
    if stop():
        raise StoppedError("the check was stopped")


def _busiest(source: Stack, raw: Stack) -> tuple[list[int], tuple[slice, ...]]:
    """Choose some images and the box with the most contrast, of those least filled.

    `raw` is the source before missing pixels were filled.
    """
    ndim = len(source.size)
    n = max(1, IMAGES if ndim == 2 else 1)
    chosen = np.unique(np.linspace(0, source.n_images - 1, n).astype(int))
    largest = (DEPTH, SIDE // 2, SIDE // 2) if ndim == 3 else (SIDE, SIDE)
    size = [min(s, m) for s, m in zip(source.size, largest, strict=True)]
    boxes = _boxes(source.size, size)
    first = int(chosen[0])
    missing = [int((~np.isfinite(raw.read(first, box))).sum()) for box in boxes]
    spread = [float(source.read(first, box).std()) for box in boxes]
    best = min(range(len(boxes)), key=lambda i: (missing[i], -spread[i]))
    return chosen.tolist(), boxes[best]


def _cut(source: Stack, chosen: list[int], box: tuple[slice, ...]) -> Image:
    """Cut a box out of some images, (n, c, *spatial)."""
    data = np.stack([source.read(n, box) for n in chosen])
    return Image(data, "SC" + source.spatial, "part")


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


def _planes(model: TrainedModel, pixels: NDArray[Any]) -> Floats:
    """Normalize (n, c, *spatial) and lay all planes along one axis, (m, y, x)."""
    spec = model.spec
    normalized = np.stack([spec.normalization.apply(p, spec.ndim) for p in pixels])
    return normalized.reshape(-1, *normalized.shape[-2:]).astype(np.float64)


def _solutions(
    model: TrainedModel,
    part: Image,
    n_samples: int,
    device: str,
    stop: Callable[[], bool],
) -> Floats:
    """Return independent posterior samples, else the estimate, (k, m, y, x)."""
    generative = isinstance(model.method, GenerativeMethod)
    config = InferenceConfig(
        n_samples=n_samples, n_kept=n_samples, antithetic=False, device=device
    )
    result: Any = None
    for event in denoising(model, part, config, stop=stop):
        _go_on(stop)
        result = event
    made = result.result
    found = made.samples if generative else made.mean[None]
    return np.stack([_planes(model, np.asarray(one)) for one in found])


def _whole(model: TrainedModel, images: Stack, n: int) -> tuple[torch.Tensor, Any]:
    """Return an image as one tile (1, c, *padded), and where in it the image lies."""
    multiple = model.method.tile_multiple()
    up = [-(-s // m) * m for s, m in zip(images.size, multiple, strict=True)]
    (tile,) = tile_grid(images.size, up, (0,) * len(up), multiple)
    return read_tile(model, images, n, tile), tile.inner


@torch.inference_mode()
def _quantiles(
    method: GenerativeMethod, model: TrainedModel, images: Stack, device: str
) -> Floats:
    """Return the quantile of each pixel under the model, (m, y, x)."""
    chosen = choose_device(device)
    method.to(chosen)
    found = []
    try:
        for n in range(images.n_images):
            x, inner = _whole(model, images, n)
            noise = PositionNoise(0, n, [0], (0,) * (x.ndim - 2), x.shape[2:], chosen)
            u = method.quantiles(x.to(chosen), noise)[0].cpu().numpy()
            found.append(u[(slice(None), *inner)])
    finally:
        method.to("cpu")
    planes = [f.reshape(-1, *f.shape[-2:]) for f in found]
    return np.concatenate(planes).astype(np.float64)


@torch.inference_mode()
def _losses(model: TrainedModel, images: Stack, device: str) -> dict[str, float]:
    """Return the losses on all images, averaged."""
    method, chosen = model.method, choose_device(device)
    generator = torch.Generator(chosen).manual_seed(0)
    sums: dict[str, float] = {}
    method.to(chosen)
    try:
        for n in range(images.n_images):
            x, _ = _whole(model, images, n)
            losses = method.losses(Batch(x.to(chosen)), generator)
            for key, value in {**losses.objectives, **losses.metrics}.items():
                sums[key] = sums.get(key, 0.0) + float(value) / images.n_images
    finally:
        method.to("cpu")
    return sums
