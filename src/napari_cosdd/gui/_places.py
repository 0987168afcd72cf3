"""Where layers lie: in the world, in the view, and results on their source."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._layers import KEY, data_of


def current_plane(
    layer: ImageLayer, axes: str, point: Sequence[float], keep: str = "CYX"
) -> tuple[slice, ...]:
    """Return the part of a layer that the viewer shows.

    Parameters
    ----------
    point : sequence of float
        World coordinates that the viewer shows, one per axis, aligned from the right.
    keep : str
        Axes that are kept whole; each other axis keeps one index.
    """
    shape = data_of(layer).shape
    world = [0.0] * layer.ndim
    known = list(point)[-layer.ndim :]
    world[layer.ndim - len(known) :] = known
    position = np.round(layer.world_to_data(world)).astype(int)
    at = [int(np.clip(p, 0, n - 1)) for p, n in zip(position, shape, strict=True)]
    return tuple(
        slice(None) if letter in keep else slice(i, i + 1)
        for letter, i in zip(axes, at, strict=True)
    )


def plane_at(
    layer: ImageLayer, pixels: NDArray[Any], point: Sequence[float]
) -> NDArray[Any]:
    """Return the plane of a layer that the viewer shows: its last two axes.

    Parameters
    ----------
    layer : Image layer
        Gives the place.
    pixels : ndarray
        Of the shape of the layer.
    point : sequence of float
        World coordinates that the viewer shows.

    Raises
    ------
    BadInputError
        If the layer ends before that plane.
    """
    world = [0.0] * layer.ndim
    known = list(point)[-layer.ndim :]
    world[layer.ndim - len(known) :] = known
    at = np.round(layer.world_to_data(world)).astype(int)[:-2]
    if any(not 0 <= i < n for i, n in zip(at, pixels.shape, strict=False)):
        raise BadInputError(f"{layer.name} does not hold the plane that is shown.")
    return np.asarray(pixels[tuple(at)])


def source_pixels(source: ImageLayer, result: ImageLayer) -> Any:
    """Return the pixels of the source that a result was made of."""
    offset = result.metadata[KEY].get("offset")
    data = data_of(source)
    if offset is None or len(offset) != data.ndim:
        return data
    shape = zip(offset, result.data.shape, strict=True)
    return data[tuple(slice(int(a), int(a) + n) for a, n in shape)]


def place(
    layer: ImageLayer,
    *,
    ndim: int | None = None,
    offset: Sequence[float] | None = None,
    zoom: float = 1.0,
) -> dict[str, Any]:
    """Return keywords of a new layer that place its data on `layer`.

    Parameters
    ----------
    ndim : int, optional
        Axes of the new data, aligned from the right; default: the layer's.
    offset : sequence of float, optional
        Pixel of the layer at which pixel 0 of the new data lies, per axis.
    zoom : float
        Pixels of the layer that one new pixel covers in y and x.
    """
    n = layer.ndim if ndim is None else ndim
    last = slice(layer.ndim - n, None)
    scale = np.array(layer.scale[last], dtype=float)
    rotate, shear = layer.rotate[last, last], _shear_of(layer, n)
    linear = Affine(scale=scale, rotate=rotate, shear=shear).linear_matrix
    shift = np.zeros(n) if offset is None else np.asarray(offset, float)[-n:]
    middle = np.zeros(n)
    middle[-2:] = (zoom - 1) / 2  # pixel centres are whole numbers
    factor = np.ones(n)
    factor[-2:] = zoom
    return {
        "scale": scale * factor,
        "translate": np.array(layer.translate[last]) + linear @ (shift + middle),
        "rotate": rotate,
        "shear": shear,
        "affine": np.asarray(layer.affine.affine_matrix)[
            layer.ndim - n :, layer.ndim - n :
        ],
        "units": layer.units[last],
        "axis_labels": layer.axis_labels[last],
    }


def with_sample_axis(look: dict[str, Any]) -> dict[str, Any]:
    """Return the place of a layer for a stack of such layers, one for each sample."""

    def widened(matrix: Any) -> NDArray[np.float64]:
        wide = np.eye(len(matrix) + 1)
        wide[1:, 1:] = matrix
        return wide

    return {
        "scale": np.r_[1.0, look["scale"]],
        "translate": np.r_[0.0, look["translate"]],
        "rotate": widened(look["rotate"]),
        "shear": widened(look["shear"]),
        "affine": widened(look["affine"]),
        "units": ("pixel", *look["units"]),
        "axis_labels": ("sample", *look["axis_labels"]),
    }


def _shear_of(layer: ImageLayer, n: int) -> NDArray[np.float64]:
    """Return the shear of the last `n` axes as a matrix."""
    shear = np.asarray(layer.shear, float)
    if shear.ndim == 1:
        matrix = np.eye(layer.ndim)
        matrix[np.triu_indices(layer.ndim, 1)] = shear
        shear = matrix
    return shear[-n:, -n:]
