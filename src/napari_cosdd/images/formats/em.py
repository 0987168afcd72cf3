"""Files of electron microscopes (MRC, DM3, DM4, SER, EMD), read by RosettaSciIO."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import letters_of
from napari_cosdd.images.formats.tiff import EAGER_LIMIT
from napari_cosdd.images.image import Image
from napari_cosdd.images.units import in_one_unit

#: Reader of each suffix, a module of RosettaSciIO.
READERS = {
    ".mrc": "mrc",
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".ser": "tia",
    ".emd": "emd",
}


def read_em(path: Path, name: str, number: int | None) -> Image:
    """Read a data set of a file; default: the first that is an image.

    Raises
    ------
    BadInputError
        If RosettaSciIO is not installed, or there is no such image in the file.
    """
    try:
        reader: Any = import_module(f"rsciio.{READERS[path.suffix.lower()]}")
    except ImportError as error:
        raise BadInputError(
            f"{path.name} needs RosettaSciIO: pip install rosettasciio"
        ) from error
    sets = reader.file_reader(str(path), lazy=True)
    images = [s for s in sets if len(s["data"].shape) > 1]
    if not images:
        raise BadInputError(f"{path.name} holds no image")
    if number is not None and number >= len(images):
        raise BadInputError(
            f"{path.name} has {len(images)} images, the last is "
            f"{path.name}/{len(images) - 1}; got {number}"
        )
    chosen: Mapping[str, Any] = images[number or 0]
    data = chosen["data"]
    if data.dtype.kind in "uif" and data.nbytes <= EAGER_LIMIT:
        data = np.asarray(data)
    described = sorted(chosen["axes"], key=lambda axis: axis["index_in_array"])
    axes, origin = letters_of([str(axis["name"]) for axis in described], data.shape)
    steps = {
        letter: (float(axis["scale"]), str(axis["units"]))
        for letter, axis in zip(axes, described, strict=True)
        if letter in "ZYX" and axis.get("units")
    }
    others = len(images) - 1
    note = f"{path.name} holds {others} more images; {path.name}/1 is the second"
    return Image(
        data,
        axes,
        name,
        origin,
        *in_one_unit(steps),
        path=path,
        note=note if others and number is None else "",
    )
