"""The tiles that a model needs of an image: cut, read, and written back."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_cosdd.axes import Stack
from napari_cosdd.data.io import as_type
from napari_cosdd.errors import BadInputError
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.inference.memory import room_for
from napari_cosdd.inference.tiler import Tile, tile_grid
from napari_cosdd.spec import DataSpec
from napari_cosdd.training.checkpoint import TrainedModel

#: Smallest tile that is cut where memory is short, pixels.
SMALLEST = 64
#: Planes of a tile of a volume, in units of the network's stride along z.
DEEP = 32


def tiles_for(
    model: TrainedModel, source: Stack, config: InferenceConfig
) -> list[Tile]:
    """Cut the images as the model and the settings need it."""
    method = model.method
    multiple = method.tile_multiple()
    margin = model.margin or method.tile_margin()
    if config.margin is not None:
        margin = (config.margin,) * len(multiple)
    size = [config.tile_size] * len(multiple)
    if len(size) == 3:
        size[0] = DEEP * multiple[0]
    return tile_grid(source.size, size, margin, multiple)


def tiles_that_fit(
    model: TrainedModel, source: Stack, config: InferenceConfig, device: torch.device
) -> tuple[list[Tile], int]:
    """Return tiles of which memory holds a sample, and their size."""
    room, side = room_for(model.method, device), config.tile_size
    while True:
        smaller = config.model_copy(update={"tile_size": side})
        tiles = tiles_for(model, source, smaller)
        largest = max(math.prod(r.stop - r.start for r in t.read) for t in tiles)
        if largest <= room or side <= SMALLEST:
            return tiles, side
        side //= 2


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
            f"image {image} has {bad} pixels that are not finite; mask them first"
        )
    x = model.spec.normalization.apply(pixels, model.spec.ndim)
    beyond = [(0, r.stop - i.stop) for r, i in zip(tile.read, inside, strict=True)]
    x = np.pad(x, [(0, 0), *beyond], mode="symmetric")
    return torch.from_numpy(np.ascontiguousarray(x))[None]


class Place(NamedTuple):
    """Where a tile's results go."""

    spec: DataSpec
    image: int
    tile: Tile

    def write(self, stack: Stack, values: Tensor, *, scale_only: bool = False) -> None:
        """Write a result of the whole tile, (c, *read), in grey levels."""
        pixels = values[(slice(None), *self.tile.inner)].cpu().numpy()
        scale = self.spec.normalization
        invert = scale.invert_scale if scale_only else scale.invert
        grey = as_type(invert(pixels, self.spec.ndim), np.dtype(stack.data.dtype))
        stack.write(self.image, self.tile.core, grey)
