"""The tiles of an image for a model: cutting, reading and writing."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError, BadModelFileError
from napari_cosdd.images.normalization import as_type
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.outputs import Output
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.blur import reach
from napari_cosdd.prediction.brightness import blur_of
from napari_cosdd.prediction.outputs import Targets
from napari_cosdd.prediction.tile_grid import Tile, tile_grid
from napari_cosdd.remedies import Remedy
from napari_cosdd.settings.prediction import PredictionConfig

#: Depth of a volume's tile, in units of the network's stride along z.
DEEP = 32
#: Largest number of tiles of a prediction; a second each takes weeks.
MOST_TILES = 5_000_000


def tiles_for(
    model: TrainedModel, source: Stack, config: PredictionConfig
) -> list[Tile]:
    """Return the tiles of an image for a model and settings.

    Raises
    ------
    BadInputError
        If there are too many of them.
    """
    multiple = model.method.tile_multiple()
    size = [config.tile_size] * len(multiple)
    if len(size) == 3:
        size[0] = DEEP * multiple[0]
    least = source.n_images * math.prod(
        n // s for n, s in zip(source.size, size, strict=True)
    )
    if least > MOST_TILES:
        raise BadInputError(
            f"{source.name} would be denoised in {least:,} tiles; at most "
            f"{MOST_TILES:,} can be kept account of: give a part of it"
        )
    return tile_grid(source.size, size, _margin(model, config), multiple)


def _margin(model: TrainedModel, config: PredictionConfig) -> tuple[int, ...]:
    """Return the context that a tile needs, pixels per axis."""
    margin = model.tile_margin
    if config.margin is not None:
        margin = (config.margin,) * model.spec.ndim
    return tuple(m + reach(blur_of(config, model.spec)) for m in margin)


def pieces_of(
    tile: Tile, model: TrainedModel, config: PredictionConfig, room: int
) -> Iterator[Tile]:
    """Cut a tile into pieces for which a sample fits into memory.

    A piece has the same margin as a tile, so results agree as well as between tiles.

    Parameters
    ----------
    room : int
        Largest number of pixels of a sample.
    """
    parts = None
    if tile.pixels > room:
        parts = tile.halves(_margin(model, config), model.method.tile_multiple())
    if parts is None:
        yield tile
        return
    for part in parts:
        yield from pieces_of(part, model, config, room)


def read_tile(model: TrainedModel, source: Stack, image: int, tile: Tile) -> Tensor:
    """Return a normalized tile (1, c, *read); beyond the image it is mirrored."""
    inside = tuple(
        slice(r.start, min(r.stop, n))
        for r, n in zip(tile.read, source.size, strict=True)
    )
    pixels = source.read(image, inside)
    bad = int(np.count_nonzero(~np.isfinite(pixels)))
    if bad:
        raise BadInputError(
            f"image {image} has {bad} pixels that are not finite; fill them "
            f"({Remedy.FILL_MISSING})"
        )
    x = model.spec.normalization.apply(pixels, model.spec.ndim)
    beyond = [(0, r.stop - i.stop) for r, i in zip(tile.read, inside, strict=True)]
    x = np.pad(x, [(0, 0), *beyond], mode="symmetric")
    return torch.from_numpy(np.ascontiguousarray(x))[None]


class TileTarget(NamedTuple):
    """A tile of an image, and the scale of its results."""

    spec: DataSpec
    image: int
    tile: Tile

    def write(self, targets: Targets, output: Output, values: Tensor) -> None:
        """Write an output of the tile, (c, *read), if it has a target.

        Raises
        ------
        BadModelFileError
            If a value is not finite.
        """
        target = targets.get(output)
        if target is None:
            return
        pixels = values[(slice(None), *self.tile.inner)].cpu().numpy()
        if output.units == "levels":
            pixels = self.spec.results.invert(pixels, self.spec.ndim)
        elif output.units == "scale":
            pixels = self.spec.results.invert_scale(pixels, self.spec.ndim)
        with np.errstate(over="ignore"):  # becomes infinite, which is seen
            result = as_type(pixels, target.dtype)
        if not (np.isfinite(pixels).all() and np.isfinite(result).all()):
            raise BadModelFileError(
                f"the model gives {output.name} values that are not finite (NaN or "
                f"infinite) in image {self.image}: its weights or its scale are "
                "damaged, or the image is far outside what it was trained on"
            )
        target.write(self.image, self.tile.core, result)
