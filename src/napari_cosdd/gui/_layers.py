"""Conversion between napari's layers and images: axes, pixel size, place, results."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import check_axes, guess_axes, letter_of
from napari_cosdd.images.image import Image, check_pixels
from napari_cosdd.images.units import in_one_unit, in_seconds
from napari_cosdd.methods.outputs import Output, Role

#: Key of this plugin in a layer's metadata.
KEY = "napari_cosdd"


def data_of(layer: ImageLayer) -> Any:
    """Return the pixels of a layer; for a multiscale layer, its finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def axes_of(layer: ImageLayer) -> str:
    """Return a letter for each axis, from the layer's labels or else by a guess.

    napari itself defines only the last two axes, as Y and X.
    """
    return named_axes(layer) or guess_axes(data_of(layer).shape)


def named_axes(layer: ImageLayer) -> str:
    """Return a letter for each axis, from the layer's labels; "" if they do not say."""
    letters = [letter_of(label) for label in layer.axis_labels]
    shape = data_of(layer).shape
    if not all(letters) or len(letters) != len(shape):
        return ""
    try:
        return check_axes("".join(letters), shape)
    except BadInputError:
        return ""  # a label occurs twice, or X is missing


def axes_for(layer: ImageLayer, spec: DataSpec, given: str = "") -> str:
    """Return a letter for each axis, as a model needs them.

    The axes that the user has `given` are used if they fit the layer. An unlabelled
    stack is guessed to be a time series. That guess is corrected from the model: for
    one of z-stacks, T becomes Z; for one of several channels, an axis of that length
    becomes C.
    """
    shape = data_of(layer).shape
    fits = len(given) == len(shape)
    letters = given.upper() if fits else axes_of(layer)
    if spec.n_channels > 1 and "C" not in letters:
        for i, (letter, n) in enumerate(zip(letters, shape, strict=True)):
            if letter not in "YX" and n == spec.n_channels:
                letters = letters[:i] + "C" + letters[i + 1 :]
                break
    if spec.ndim == 3 and "Z" not in letters:
        letters = letters.replace("T", "Z")
    return letters


def image_of(layer: ImageLayer, axes: str) -> Image:
    """Return a layer as an image with unchanged pixels.

    Raises
    ------
    BadInputError
        If the layer is an RGB picture, or the axes do not fit.
    """
    if layer.rgb:
        raise BadInputError(
            f"{layer.name} is a color (RGB) picture. COSDD needs grey levels: split "
            "it (right-click the layer → Split RGB) and choose one channel"
        )
    data = data_of(layer)
    letters = check_axes(axes, data.shape)
    at = dict(zip(letters, range(len(letters)), strict=True))
    pixel_size, unit = in_one_unit(
        {
            a: (float(abs(layer.scale[at[a]])), str(layer.units[at[a]]))
            for a in "ZYX"
            if a in at
        }
    )
    t = at.get("T")
    interval = None if t is None else in_seconds(layer.scale[t], str(layer.units[t]))
    image = Image(
        data,
        letters,
        name=layer.name,
        pixel_size=pixel_size,
        unit=unit,
        interval=interval,
    )
    check_pixels(image)
    return image


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


def key_of(layer: Any) -> str:
    """Return the key of a layer: unique, and independent of its name."""
    return str(layer.unique_id)


def pixels_key(layer: Any) -> tuple[str, int]:
    """Return a key of a layer with its present pixels; new pixels change it."""
    return key_of(layer), id(data_of(layer))


def layer_with(layers: Sequence[Any], key: str) -> ImageLayer | None:
    """Return the layer of that key, if it is still in the viewer."""
    return next((layer for layer in layers if key_of(layer) == key), None)


def part_name(source: str, part: str) -> str:
    """Name a result: "nuclei · mean"."""
    return f"{source} · {part}"


def add_part(
    viewer: Any,
    source: ImageLayer,
    part: str,
    data: Any,
    output: Output | None = None,
    **look: Any,
) -> ImageLayer:
    """Add a layer that this plugin makes for `source`; note `part` in its metadata.

    Parameters
    ----------
    output : Output, optional
        Output of the prediction that the layer shows; None for a preview or a bar.
    """
    ours: dict[str, Any] = {"source": source.name, "source_key": key_of(source)}
    ours["part"] = part
    if output is not None:
        ours |= {"role": output.role, "index": output.index}
    layer: ImageLayer = viewer.add_image(data, metadata={KEY: ours}, **look)
    layer.metadata[KEY]["key"] = key_of(layer)
    return layer


def is_ours(layer: Any) -> bool:
    """Whether this plugin made a layer; False for a copy that the user made."""
    ours = layer.metadata.get(KEY)
    return ours is not None and ours.get("key", key_of(layer)) == key_of(layer)


def role_of(layer: Any) -> Role | None:
    """Return the role of a result layer in its prediction; None for other layers."""
    role: Role | None = layer.metadata.get(KEY, {}).get("role")
    return role


def parts_of(layers: Sequence[Any], source: ImageLayer) -> dict[str, ImageLayer]:
    """Return the layers made for a source by part, in the order of the layer list."""
    return {
        str(layer.metadata[KEY]["part"]): layer
        for layer in layers
        if isinstance(layer, ImageLayer)
        and is_ours(layer)
        and layer.metadata[KEY]["source_key"] == key_of(source)
    }
