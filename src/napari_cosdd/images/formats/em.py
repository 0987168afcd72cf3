"""Files of electron microscopes (MRC, DM3, DM4, SER, EMD), read by RosettaSciIO."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import letter_of, letters_of
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

#: Number at byte 152 of the files of IMOD, whose flags follow.
IMOD_STAMP = 1146047817


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
            f"{path.name} needs RosettaSciIO, and h5py for EMD: "
            f'pip install "napari-cosdd[em]" ({error})'
        ) from error
    # RosettaSciIO reads no color picture on demand.
    on_demand = path.stat().st_size > EAGER_LIMIT
    sets = reader.file_reader(str(path), lazy=on_demand)
    images = [s for s in sets if _is_image(s)]
    if not images:
        found = ", ".join(str(tuple(s["data"].shape)) for s in sets) or "nothing"
        raise BadInputError(
            f"{path.name} holds no image; expected planes, found spectra or lines: "
            f"{found}"
        )
    if number is not None and number >= len(images):
        raise BadInputError(
            f"{path.name} has {len(images)} images, the last is "
            f"{path.name}/{len(images) - 1}; got {number}"
        )
    chosen: Mapping[str, Any] = images[number or 0]
    data = chosen["data"]
    if data.dtype.names:
        raise BadInputError(
            f"{path.name} is a color (RGB) picture; expected grey levels"
        )
    if path.suffix.lower() == ".mrc" and data.dtype == "u1" and _has_signed_bytes(path):
        data = data.view(np.int8)
    described = _in_order(chosen["axes"])
    names = [str(axis["name"] or "") for axis in described]
    axes, origin = letters_of(names, data.shape)
    steps = {
        letter: (float(axis["scale"]), str(axis["units"]))
        for letter, axis, name in zip(axes, described, names, strict=True)
        if letter in "ZYX" and letter_of(name) == letter
    }
    others = len(images) - 1
    note = f"{path.name} holds {others} more images; {path.name}/1 is the second"
    return Image(
        np.asarray(data) if data.dtype.kind in "uif" and not on_demand else data,
        axes,
        name,
        origin,
        *in_one_unit(steps),
        path=path,
        note=note if others and number is None else "",
    )


def _is_image(dataset: Mapping[str, Any]) -> bool:
    """Whether a data set has planes, and is no line or map of spectra."""
    signal = [axis for axis in dataset["axes"] if not axis.get("navigate")]
    return len(dataset["data"].shape) > 1 and len(signal) != 1


def _has_signed_bytes(path: Path) -> bool:
    """Whether the bytes of an MRC file have signs, as MRC2014 says (mode 0).

    Only IMOD's older files have none; its stamp and a flag tell. RosettaSciIO reads all
    bytes as unsigned.
    """
    with path.open("rb") as file:
        header = np.frombuffer(file.read(160), "<i4")
    mode, stamp, flags = header[3], header[38], header[39]
    return bool(mode == 0 and (stamp != IMOD_STAMP or flags & 1))


def _in_order(axes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the descriptions of the axes in their order in the array.

    The reader of SER gives them in that order, and their places for spectra only.
    """
    placed = [(axis.get("index_in_array", i), i) for i, axis in enumerate(axes)]
    return [axes[i] for _, i in sorted(placed)]
