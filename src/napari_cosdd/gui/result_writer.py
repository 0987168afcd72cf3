"""napari's *Save selected layers* as OME, with axes, pixel size and provenance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari.layers import Image as ImageLayer

from napari_cosdd._version import __version__
from napari_cosdd.gui._layers import KEY, axes_of, image_of
from napari_cosdd.gui._models import plain_name
from napari_cosdd.images.files import check_output
from napari_cosdd.images.formats.any import stem, write_image

#: Entries of a layer's metadata that mean something in this session alone.
OURS_ALONE = ("key", "source_key", "role", "index")
#: Pixels, attributes and type of a layer, as napari hands them to a writer.
LayerData = tuple[Any, dict[str, Any], str]


def write_layers(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write image layers as OME-TIFF or OME-Zarr.

    Parameters
    ----------
    path : str
        File for a single layer. Several go into files of their own beside it, with the
        names of the layers added.
    layers : sequence of (data, attributes, type)
        Image layers.

    Returns
    -------
    list of str
        The written files.

    Raises
    ------
    BadInputError
        If a layer is a color picture, or a file of one of several exists already.
    SavingError
        If a file cannot be written.
    """
    target, written = Path(path), []
    suffix = target.name[len(stem(target)) :] or ".ome.tif"
    for data, attributes, _kind in layers:
        layer: Any = ImageLayer.create(data, attributes, "image")
        file = target
        if len(layers) > 1:
            name = f"{stem(target)}-{plain_name(layer.name)}{suffix}"
            file = target.with_name(name)
            check_output(file, overwrite=False)
        write_image(file, image_of(layer, axes_of(layer)), _provenance(layer))
        written.append(str(file))
    return written


def _provenance(layer: Any) -> dict[str, Any]:
    """Return where a result comes from; nothing for other layers."""
    ours = dict(layer.metadata.get(KEY, {}))
    for name in OURS_ALONE:
        ours.pop(name, None)
    return {"napari_cosdd": __version__, **ours} if ours else {}
