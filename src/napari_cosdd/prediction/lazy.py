"""A denoised image as a dask array, whose chunks are computed on demand."""

from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
from dask.utils import SerializableLock
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import Region
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.inputs import ImageLike, one_image, stack_of
from napari_cosdd.images.selection import Channel, channel_of
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.outputs import MEAN, Output, sample_output
from napari_cosdd.models.compatibility import check_compatible, refuse_grids
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.denoiser import denoise
from napari_cosdd.prediction.in_memory import output_type
from napari_cosdd.prediction.outputs import draws_samples, outputs_of
from napari_cosdd.prediction.tile_grid import Tile
from napari_cosdd.prediction.tiles import tiles_for
from napari_cosdd.settings.prediction import PredictionConfig

#: Only one tile is computed at a time: it uses all cores, and memory holds one.
_ONE_AT_A_TIME = SerializableLock("napari-cosdd")


class _TileBuffer:
    """Target that holds a single tile of a result."""

    def __init__(self, tile: Tile, n_channels: int, dtype: np.dtype[Any]) -> None:
        self.core, self.dtype = tile.core, dtype
        size = [c.stop - c.start for c in tile.core]
        self.values = np.zeros((n_channels, *size), self.dtype)

    def write(self, n: int, region: Region | None, values: NDArray[Any]) -> None:
        """Keep the values of a part of the tile, shape (c, *region)."""
        inner = tuple(
            slice(r.start - c.start, r.stop - c.start)
            for r, c in zip(region or self.core, self.core, strict=True)
        )
        self.values[(slice(None), *inner)] = values


def denoise_lazily(
    model: TrainedModel,
    image: ImageLike,
    config: PredictionConfig,
    *,
    what: str | int = MEAN.name,
    fill: Fill | None = None,
    channel: Channel | None = None,
) -> da.Array:
    """Return a denoised image whose chunks are computed on demand.

    Parameters
    ----------
    model : TrainedModel
        Trained model.
    image : array, path or Image
        Noisy; may be a lazy array.
    config : PredictionConfig
        Settings; few samples make browsing fast.
    what : str or int
        Name of an output, such as "mean" or "deviation", or index of a sample that is
        not mirrored, from 0.
    fill : {"nothing", "missing", "outliers"}, optional
        Pixels to fill: those that are not finite, or outliers as well.
    channel : int or "each", optional
        The channel to denoise, or each by itself; default: all together.

    Returns
    -------
    dask.array.Array, shape and axes of what is denoised, float32 (see `denoising`)

    Raises
    ------
    BadInputError, BadModelFileError
        If there is no such output, or the image does not fit the model.
    """
    refuse_grids(model, "images are denoised as a whole in memory: call denoise")
    image = channel_of(one_image(image), channel)
    source = stack_of(image, model.spec.ndim, model.filling(fill))
    check_compatible(model, source, config)
    output = _chosen(model, config, what)
    if output.index is not None:
        alone = {"n_samples": output.index + 1, "antithetic": False}
        config = config.model_copy(update=alone)
    dtype = output_type(model, image, "float32", output)
    tiles = tiles_for(model, source, config)
    starts = [sorted({t.core[a].start for t in tiles}) for a in range(len(source.size))]
    tile_at = {tuple(s.start for s in tile.core): tile for tile in tiles}
    chunks = [
        tuple(np.diff([*s, size])) for s, size in zip(starts, source.size, strict=True)
    ]

    def block(block_id: tuple[int, ...]) -> NDArray[Any]:
        n, _, *where = block_id
        corner = tuple(s[i] for s, i in zip(starts, where, strict=True))
        with _ONE_AT_A_TIME:
            return _tile(model, source, config, output, n, tile_at[corner], dtype)[None]

    blocks = da.map_blocks(
        block,
        chunks=((1,) * source.n_images, (source.n_channels,), *chunks),
        dtype=dtype,
        meta=np.empty((0,) * (2 + len(chunks)), dtype),
        name=f"cosdd-{uuid4().hex}",  # by default dask would hash the image
    )
    return _as_image(blocks, source)


def _chosen(model: TrainedModel, config: PredictionConfig, what: str | int) -> Output:
    """Return the output that `what` names."""
    if type(what) is int and what >= 0 and draws_samples(model.method, config):
        return sample_output(what)
    offered = {output.name: output for output in outputs_of(model.method, config)}
    if isinstance(what, str) and what in offered:
        return offered[what]
    named = [name for name, output in offered.items() if output.role != "sample"]
    numbers = (
        " or the number of a sample" if draws_samples(model.method, config) else ""
    )
    raise BadInputError(
        f"output {what!r}: with these settings expected {', '.join(named)}{numbers}"
    )


def _tile(
    model: TrainedModel,
    source: Stack,
    config: PredictionConfig,
    output: Output,
    n: int,
    tile: Tile,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Return a tile of an output, (c, *core)."""
    buffer = _TileBuffer(tile, source.n_channels, dtype)
    work = [(n, tile)]
    for _ in denoise(model, source, {output: buffer}, config, work=work, live=False):
        pass
    return buffer.values


def _as_image(made: da.Array, source: Stack) -> da.Array:
    """Turn (n, c, *spatial) into the axes of the image."""
    letters = [*source.image_axes, "C", *source.spatial]
    shaped = made.reshape(*source.image_shape, *made.shape[1:])
    if "C" not in source.axes:
        shaped, letters = (
            shaped[(slice(None),) * len(source.image_axes) + (0,)],
            [a for a in letters if a != "C"],
        )
    return shaped.transpose([letters.index(a) for a in source.axes])
