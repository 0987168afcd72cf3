"""Sampling of images from a model: new ones, or fresh noise on a given signal."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_cosdd.datasets.survey import check_finite
from napari_cosdd.devices import choose_device, on_device
from napari_cosdd.errors import BadInputError, StoppedError
from napari_cosdd.images.axes import SPATIAL
from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.capabilities import DrawsNoise, SamplesPrior
from napari_cosdd.models.compatibility import check_compatible, refuse_grids
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.latent_noise import PositionNoise
from napari_cosdd.prediction.tile_grid import Tile, tile_grid
from napari_cosdd.prediction.tiles import read_tile

#: Number of planes in a stack that is drawn from the prior.
PLANES = 16
#: Size across the noise's rows of the tiles for redrawing noise, pixels.
ACROSS = 256


def generate_images(
    model: TrainedModel, n: int, size: int, seed: int
) -> tuple[Image, Image]:
    """Draw `n` clean images from the prior, and noisy versions of them.

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    n : int
        Number of images.
    size : int
        Pixels along y and x, rounded up to the network's stride.
    seed : int
        Source of all randomness.

    Returns
    -------
    clean, noisy : Image, shape (n, c, *spatial), axes "SC…"
        Grey levels of the training data.

    Raises
    ------
    BadInputError
        If the method does not generate.
    """
    method = model.method
    if not isinstance(method, SamplesPrior):
        raise _draws_nothing(model)
    spatial = [
        PLANES if model.spec.ndim == 3 and axis == 0 else -(-size // m) * m
        for axis, m in enumerate(method.tile_multiple())
    ]
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for k in range(n):
        noise = PositionNoise([k], spatial, torch.device("cpu"), seed=seed)
        with torch.inference_mode():
            draw = method.sample_prior(1, spatial, noise)
            pairs.append((draw.signal, method.sample_noise(draw, generator)))
    clean, noisy = (torch.cat(images) for images in zip(*pairs, strict=True))
    axes = "SC" + SPATIAL[model.spec.ndim]
    return (
        Image(_grey(model, clean), axes, "generated clean"),
        Image(_grey(model, noisy), axes, "generated noisy"),
    )


def redraw_noise(
    model: TrainedModel,
    image: Image,
    n: int,
    seed: int,
    *,
    device: str = "cpu",
    stop: Callable[[], bool] = lambda: False,
) -> list[Image]:
    """Draw `n` noisy versions of an image: its signal, fresh noise.

    COSDD, section 5.5 and figure 5. Tiles hold whole rows, since noise is correlated
    along these.

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    image : Image
        Noisy; each version has its own posterior sample of the signal.
    n : int
        Number of versions.
    seed : int
        Source of all randomness.
    device : str
        Where to compute.
    stop : callable
        Polled before each draw; True stops.

    Returns
    -------
    list of Image, each with the axes of `image`, grey levels

    Raises
    ------
    BadInputError
        If the method does not generate, or pixels are not finite.
    BadModelFileError
        If the model is for other channels or dimensions.
    StoppedError
        Once `stop` returns True.
    """
    method, spec = model.method, model.spec
    if not isinstance(method, DrawsNoise):
        raise _draws_nothing(model)
    refuse_grids(model, "noise cannot be redrawn")
    source = Stack(image.data, image.axes, spec.ndim, image.name)
    check_compatible(model, source)
    check_finite([source])
    result = np.zeros((n, *image.data.shape), np.float32)
    outputs = [Stack(r, image.axes, spec.ndim) for r in result]
    chosen = choose_device(device)
    generator = torch.Generator(chosen).manual_seed(seed)
    tiles = _whole_rows(model, source.size)
    with on_device(method, chosen), torch.inference_mode():
        for index, part in product(range(source.n_images), tiles):
            x = read_tile(model, source, index, part).to(chosen)
            features = method.encode(x)
            for k, output in enumerate(outputs):
                if stop():
                    raise StoppedError("stopped while noise was being drawn")
                noise = PositionNoise(
                    [k],
                    x.shape[2:],
                    x.device,
                    seed=seed,
                    image=index,
                    origin=part.origin,
                )
                draw = method.sample_posterior(features, noise)
                noisy = method.sample_noise(draw, generator)
                grey = _grey(model, noisy)[0]
                output.write(index, part.core, grey[(slice(None), *part.inner)])
    return [
        image.with_data(r, f"{image.name}-redrawn-{k}")
        for k, r in enumerate(result, start=1)
    ]


def _whole_rows(model: TrainedModel, size: tuple[int, ...]) -> list[Tile]:
    """Return tiles that hold whole rows of the noise."""
    method = model.method
    multiple = method.tile_multiple()
    tile = []
    for axis, (length, m) in enumerate(zip(size, multiple, strict=True)):
        wanted = max(m, length if axis == method.noise_dim else ACROSS)
        tile.append(-(-wanted // m) * m)
    return tile_grid(size, tile, model.tile_margin, multiple)


def _draws_nothing(model: TrainedModel) -> BadInputError:
    return BadInputError(f"{model.method.title} gives one estimate and draws no images")


def _grey(model: TrainedModel, images: torch.Tensor) -> NDArray[Any]:
    """Return images (n, c, *spatial) in grey levels."""
    spec = model.spec
    values = spec.normalization.invert(images.float().cpu().numpy(), spec.ndim)
    return values.astype(np.float32)
