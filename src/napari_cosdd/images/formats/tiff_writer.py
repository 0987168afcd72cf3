"""Writing of OME-TIFF."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_cosdd.images.image import Image
from napari_cosdd.images.units import ome_name


def _ome_order(data: NDArray[Any], axes: str) -> tuple[NDArray[Any], str]:
    """Reorder axes as OME needs them: Y and X last, samples as time points."""
    if "Y" not in axes:
        data, axes = data[..., None], axes + "Y"
    order = [a for a in axes if a not in "STYX"]
    order = [a for a in "ST" if a in axes] + order if "S" in axes else order
    if "S" not in axes and "T" in axes:
        order = [a for a in axes if a not in "YX"]
    order += ["Y", "X"]
    data = data.transpose([axes.index(a) for a in order])
    letters = "".join(order)
    if letters.startswith("ST"):
        data, letters = data.reshape(-1, *data.shape[2:]), letters[1:]
    return data, letters.replace("S", "T")


def write_tiff(path: Path, image: Image, extra: Mapping[str, Any]) -> None:
    """Write an OME-TIFF; `extra` goes into its description as JSON."""
    data, axes = _ome_order(np.asarray(image.data), image.axes)
    kind = OME_TYPES.get(data.dtype.name)
    data = data.astype(kind) if kind else data
    metadata: dict[str, Any] = {"axes": axes, "Name": image.name}
    if image.channels:
        metadata["Channel"] = {"Name": list(image.channels)}
    if extra:
        metadata["Description"] = json.dumps(dict(extra))
    for letter, size in image.pixel_size.items():
        metadata[f"PhysicalSize{letter}"] = size
        metadata[f"PhysicalSize{letter}Unit"] = ome_name(image.unit)
    if image.interval and "T" in image.axes:
        metadata |= {"TimeIncrement": image.interval, "TimeIncrementUnit": "s"}
    tifffile.imwrite(
        path,
        data,
        ome=True,
        bigtiff=data.nbytes > 3 << 30,
        photometric="minisblack",
        metadata=metadata,
        compression="zlib",
    )


#: Substitute for each pixel type that OME lacks.
OME_TYPES = {"int64": "float64", "uint64": "float64", "float16": "float32"}
