"""Zarr arrays and OME-Zarr images, with axes and pixel size."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import check_axes, guess_axes
from napari_cosdd.images.files import beside
from napari_cosdd.images.image import RESULT_KEYS, Image
from napari_cosdd.images.units import in_one_unit, in_seconds, zarr_name

#: Largest chunk or shard that is accepted, bytes: one pixel loads all of it.
LARGEST_CHUNK = 4 << 30


def read_zarr(path: Path, name: str) -> Image:
    """Open the highest resolution of an image without loading pixels."""
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        _check_chunks(path, node)
        return Image(node, guess_axes(node.shape), name, "guess", path=path)
    attributes: Any = node.attrs.asdict()
    if "bioformats2raw.layout" in attributes.get("ome", attributes):
        return _first_series(path, name, sum(key.isdecimal() for key in node))
    scales = attributes.get("ome", attributes).get("multiscales")
    if not scales:
        raise BadInputError(f"{path.name} is a zarr group without an OME-Zarr image")
    level = scales[0]["datasets"][0]
    inner = str(level["path"])
    is_inside = (path / inner).resolve().is_relative_to(path.resolve())  # links checked
    if ".." in Path(inner).parts or not is_inside:
        raise BadInputError(f"{path.name} points outside itself: {inner!r}")
    array: Any = node[inner]
    _check_chunks(path, array)
    axes_metadata = scales[0].get("axes")
    if not axes_metadata:
        return Image(array, guess_axes(array.shape), name, "guess", path=path)
    axis_entries = [
        a if isinstance(a, dict) else {"name": a} for a in axes_metadata
    ]  # 0.3
    axes = check_axes("".join(a["name"] for a in axis_entries), array.shape)
    step = _steps([scales[0], level], axes)
    units = {a: d.get("unit") for a, d in zip(axes, axis_entries, strict=True)}
    channels = _channels(attributes.get("ome", attributes), axes, array.shape)
    image = Image(array, axes, name, "file", *_pixel_size(step, units), channels, path)
    interval = in_seconds(step.get("T", 0), str(units.get("T")))
    provenance = attributes.get("napari_cosdd", {})
    is_result = isinstance(provenance, dict) and set(RESULT_KEYS) <= provenance.keys()
    return replace(image, interval=interval, is_result=is_result)


def _first_series(path: Path, name: str, n: int) -> Image:
    """Open the first of the images that bioformats2raw puts into one folder."""
    first = path / "0"
    error = BadInputError(f"{path.name} holds no image in its first series")
    if not first.resolve().is_relative_to(path.resolve()):  # no link out
        raise error
    attributes: Any = zarr.open_group(first, mode="r").attrs.asdict()
    if "bioformats2raw.layout" in attributes.get("ome", attributes):
        raise error
    note = f"{name}: the first of {n} series is read" if n > 1 else ""
    return replace(read_zarr(first, name), path=path, note=note)


def _steps(scaled: Sequence[Any], axes: str) -> dict[str, float]:
    """Return the scale of each axis: the product over image and level.

    `scaled` holds the metadata of the image and of its level.
    """
    size: dict[str, float] = {}
    for one in scaled:
        for transform in one.get("coordinateTransformations", []):
            if transform["type"] == "scale":
                for a, scale in zip(axes, transform["scale"], strict=True):
                    size[a] = size.get(a, 1.0) * float(scale)
    return size


def _pixel_size(
    size: Mapping[str, float], units: Mapping[str, Any]
) -> tuple[dict[str, float], str]:
    """Return the size along each spatial axis, all in one unit, and that unit."""
    any_unit = any(units[a] for a in size if a in "ZYX")
    spatial = {
        a: (s, units[a] or "um")
        for a, s in size.items()
        if a in "ZYX" and (units[a] or not any_unit)
    }
    if not any_unit and {s for s, _ in spatial.values()} == {1.0}:
        return {}, "um"  # the default, written if no size is known
    return in_one_unit(spatial)


def _check_chunks(path: Path, array: Any) -> None:
    """Refuse chunks too large for memory: one pixel loads a whole chunk."""
    shape = getattr(array, "shards", None) or array.chunks
    size = math.prod(shape) * np.dtype(array.dtype).itemsize
    if size > LARGEST_CHUNK:
        raise BadInputError(
            f"{path.name} has chunks of {size / 2**30:.1f} GB; at most "
            f"{LARGEST_CHUNK >> 30} GB can be read. Save it with smaller chunks"
        )


def _channels(ome: Any, axes: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the channels, if each has one."""
    described = ome.get("omero", {}).get("channels", [])
    names = tuple(str(channel.get("label", "")) for channel in described)
    expected = shape[axes.index("C")] if "C" in axes else 1
    return names if all(names) and len(names) == expected else ()


def write_zarr(path: Path, image: Image, extra: Mapping[str, Any]) -> None:
    """Write an OME-Zarr; replace an existing one."""
    temporary = beside(path)
    try:
        array = create_zarr(temporary, image, np.dtype(image.data.dtype))
        array[...] = np.asarray(image.data)
        group = zarr.open_group(temporary, mode="r+")
        group.attrs["napari_cosdd"] = dict(extra)
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, path: Path) -> None:
    """Rename `new` to `path`; an existing folder is deleted afterwards."""
    old = beside(path)
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def create_zarr(
    path: Path,
    image: Image,
    dtype: np.dtype[Any],
    chunk: Sequence[int] = (512, 512),
) -> Any:
    """Make an empty OME-Zarr (version 0.5) with one level; return its array.

    Axes, sizes and names are those of `image`. `chunk` is the chunk size in pixels
    along the last spatial axes.
    """
    group = zarr.open_group(path, mode="w")
    shape = image.data.shape
    spatial = dict(zip("ZYX"[3 - len(chunk) :], chunk, strict=True))
    chunks = tuple(
        min(n, spatial.get(a, 1)) for a, n in zip(image.axes, shape, strict=True)
    )
    array = group.create_array(
        "0",
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        config={"write_empty_chunks": True},  # so that a missing one is a lost one
    )
    kinds = {"T": "time", "C": "channel", "S": "other"}
    axes = [{"name": a.lower(), "type": kinds.get(a, "space")} for a in image.axes]
    if image.pixel_size:
        unit = zarr_name(image.unit)
        known = {letter.lower() for letter in image.pixel_size}
        axes = [a | {"unit": unit} if a["name"] in known else a for a in axes]
    steps = dict(image.pixel_size)
    if image.interval:
        axes = [a | {"unit": "second"} if a["name"] == "t" else a for a in axes]
        steps["T"] = image.interval
    scale = [steps.get(a, 1.0) for a in image.axes]
    level = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": scale}],
    }
    multiscales: Any = [{"name": image.name, "axes": axes, "datasets": [level]}]
    ome: Any = {"version": "0.5", "multiscales": multiscales}
    if image.channels:
        ome["omero"] = {"channels": [{"label": name} for name in image.channels]}
    group.attrs["ome"] = ome
    return array
