"""Conversion between napari's layers and images: axes, pixel size, results."""

from collections.abc import Sequence
from typing import Any

from napari.layers import Image as ImageLayer

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
        if is_part_of(layer, source)
    }


def is_part_of(layer: Any, source: ImageLayer) -> bool:
    """Whether a layer was made for a source."""
    ours = isinstance(layer, ImageLayer) and is_ours(layer)
    return ours and bool(layer.metadata[KEY]["source_key"] == key_of(source))
