"""Zarr arrays and OME-Zarr images, with axes and pixel size."""

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import ZipStore

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import guess_axes, letters_of
from napari_cosdd.images.image import RESULT_KEYS, Image
from napari_cosdd.images.units import in_one_unit, in_seconds
from napari_cosdd.remedies import Remedy

#: Largest chunk or shard that is accepted, bytes: one pixel loads all of it.
LARGEST_CHUNK = 4 << 30
#: Suffixes of zarr folders in a zip file.
ZIPPED = (".ozx", ".zarr.zip")
#: Files of which a zarr folder has one.
METADATA = ("zarr.json", ".zattrs", ".zarray", ".zgroup")
#: Largest number of images that a message names.
NAMED = 5


def is_zarr(path: Path) -> bool:
    """Whether a folder holds zarr metadata, whatever its name."""
    return any((path / name).is_file() for name in METADATA)


def _opened(path: Path) -> Any:
    """Open the array or group of a folder, or of a zip file with one image."""
    if not path.is_file():
        return zarr.open(path, mode="r")
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
    if any(entry.file_size > LARGEST_CHUNK for entry in entries):
        raise BadInputError(
            f"{path.name} holds files of more than {LARGEST_CHUNK >> 30} GB; save it "
            "with smaller chunks"
        )
    places = [entry.filename.rpartition("/") for entry in entries]
    groups = [folder for folder, _, name in places if name in METADATA]
    inner = min(groups, key=len, default="")  # not the root if a folder was zipped
    node = zarr.open(ZipStore(path, mode="r"), path=inner, mode="r")
    if isinstance(node, zarr.Array) or "multiscales" in _ome_of(node):
        return node
    arrays = [array for _, array in node.arrays()]
    if len(arrays) != 1:
        raise BadInputError(
            f"{path.name} holds several images, or none: unpack it, and choose one"
        )
    return arrays[0]


def zarr_images(path: Path) -> list[Path]:
    """Return the images of a zarr folder: the fields of a plate or well, or itself.

    Raises
    ------
    BadInputError
        If a field or series that it lists is not there.
    """
    found, missing = zarr_contents(path)
    if missing:
        rest = f", or use the other {len(found)} ({Remedy.SALVAGE})"
        raise BadInputError(
            f"{path.name} lists {listed(missing)}, which is no image there; copy it "
            f"again{rest if found else ''}"
        )
    if not found:
        raise BadInputError(f"{path.name} holds no image")
    return found


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first of many."""
    return ", ".join(names[:NAMED]) + (" …" if names[NAMED:] else "")


def zarr_contents(path: Path) -> tuple[list[Path], list[str]]:
    """Return the images of a zarr folder, and the names of those that are missing.

    Raises
    ------
    BadInputError
        If the metadata are damaged, several arrays are no image, or a name or a link
        leads out of the folder.
    """
    try:
        node = zarr.open(path, mode="r")
    except Exception:  # noqa: BLE001 - reading it says what is wrong
        return [path], []
    if isinstance(node, zarr.Array):
        return [path], []
    ome = _ome_of(node)
    if holder := next((key for key in ("plate", "well") if key in ome), None):
        inner = _parts(path, ome[holder], "wells" if holder == "plate" else "images")
    elif "bioformats2raw.layout" in ome:
        named = _ome_of(node["OME"]).get("series") if "OME" in node else None
        numbered = sorted((k for k in node if k.isdecimal()), key=int)
        inner = list(map(str, named)) if isinstance(named, list) else numbered
    elif "multiscales" not in ome and (arrays := dict(node.arrays())):
        if len(arrays) > 1:
            choices = listed([f"{path.name}/{name}" for name in sorted(arrays)])
            raise BadInputError(f"{path.name} holds several arrays; choose {choices}")
        inner = list(arrays)
    else:
        return [path], []
    found: list[Path] = []
    missing: list[str] = []
    for name in inner:
        part = path / name
        _check_inside(path, part, name)
        if part.resolve() == path.resolve() or not is_zarr(part):
            missing.append(name)
        else:
            inside, absent = zarr_contents(part)
            found += inside
            missing += [f"{name}/{one}" for one in absent]
    return found, missing


def _parts(path: Path, holder: Any, key: str) -> list[str]:
    """Return the paths of the wells of a plate, or of the images of a well."""
    parts = holder.get(key, []) if isinstance(holder, dict) else None
    paths = [part.get("path") for part in parts or [] if isinstance(part, dict)]
    if parts is None or not isinstance(parts, list) or None in paths:
        raise BadInputError(
            f"{path.name}: its metadata are damaged: expected {key} with their paths"
        )
    return list(map(str, paths))


def _ome_of(group: Any) -> Any:
    """Return the OME metadata of a group, of version 0.4 or 0.5 and later."""
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, dict) else {}


def _check_inside(path: Path, part: Path, name: str) -> None:
    """Refuse names and links that lead out of the folder."""
    is_inside = part.resolve().is_relative_to(path.resolve())  # links checked
    if ".." in Path(name).parts or not is_inside:
        raise BadInputError(f"{path.name} points outside itself: {name!r}")


def read_zarr(path: Path, name: str) -> Image:
    """Open the highest resolution of an image without loading pixels.

    Raises
    ------
    BadInputError
        If there is no image, more than one, or one with too large chunks.
    """
    images = [path] if path.is_file() else zarr_images(path)
    if images != [path]:
        if len(images) > 1:
            first = images[0].relative_to(path)
            raise BadInputError(
                f"{path.name} holds {len(images)} images; give one of them, such as "
                f"{path.name}/{first}"
            )
        return replace(read_zarr(images[0], name), path=path)
    node = _opened(path)
    if isinstance(node, zarr.Array):
        _check_chunks(path, node)
        names = _dimension_names(node)
        axes, origin = (
            letters_of(names, node.shape)
            if names
            else (guess_axes(node.shape), "guess")
        )
        return Image(node, axes, name, origin, path=path)
    ome = _ome_of(node)
    scales = ome.get("multiscales")
    if not scales:
        raise BadInputError(f"{path.name} is a zarr group without an OME-Zarr image")
    level = scales[0]["datasets"][0]
    inner = str(level["path"])
    _check_inside(path, path / inner, inner)
    array: Any = node[inner]
    _check_chunks(path, array)
    entries = [
        a if isinstance(a, dict) else {"name": a} for a in _axes_of(scales[0])
    ]  # letters alone in version 0.3
    if not entries:
        return Image(array, guess_axes(array.shape), name, "guess", path=path)
    axes, origin = letters_of([_name_of(entry) for entry in entries], array.shape)
    step = _steps([scales[0], level], axes)
    units = {a: d.get("unit") for a, d in zip(axes, entries, strict=True)}
    channels = _channels(ome, axes, array.shape)
    image = Image(array, axes, name, origin, *_pixel_size(step, units), channels, path)
    interval = in_seconds(step.get("T", 0), str(units.get("T")))
    provenance = node.attrs.asdict().get("napari_cosdd", {})
    is_result = isinstance(provenance, dict) and set(RESULT_KEYS) <= provenance.keys()
    return replace(image, interval=interval, is_result=is_result)


def _axes_of(scale: Any) -> list[Any]:
    """Return the axes of an image; version 0.6 has them in coordinate systems."""
    systems = scale.get("coordinateSystems") or [{}]
    return scale.get("axes") or systems[0].get("axes") or []


def _name_of(entry: Mapping[str, Any]) -> str:
    """Return a name that stands for a letter: its own, else its type's."""
    name, kind = str(entry["name"]), str(entry.get("type"))
    known = letters_of([name, "x"], (1, 1))[1] == "file"
    return kind if not known and kind in ("time", "channel") else name


def _dimension_names(array: Any) -> list[str]:
    """Return the names of the axes of a plain array, as xarray writes them."""
    names = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.asdict().get("_ARRAY_DIMENSIONS") or []
    return [str(name) for name in names]


def _steps(scaled: Sequence[Any], axes: str) -> dict[str, float]:
    """Return the scale of each axis: the product over image and level.

    `scaled` holds the metadata of the image and of its level.
    """
    size: dict[str, float] = {}
    for one in scaled:
        listed = one.get("coordinateTransformations", [])
        steps = [t for o in listed for t in o.get("transformations", [o])]  # sequences
        for transform in steps:
            if transform.get("type") == "scale":
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
