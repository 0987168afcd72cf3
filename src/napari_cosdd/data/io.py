"""Reading and writing TIFF, OME-TIFF, BigTIFF, Zarr, OME-Zarr and npy."""

import json
import os
import re
import shutil
import uuid
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from napari_cosdd.axes import LETTERS, ArrayLike, check_axes, guess_axes
from napari_cosdd.errors import BadInputError

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
SUFFIXES = (*TIFF_SUFFIXES, ".zarr", ".npy")
#: Files up to this many bytes are read at once; larger ones piece by piece.
EAGER_LIMIT = 1 << 30


@dataclass(frozen=True)
class Image:
    """An image with what its file says about it.

    Attributes
    ----------
    data : array-like
        The pixels; read lazily where the file is large.
    axes : str
        One letter of "STCZYX" per axis.
    name : str
        For layers and files made from it.
    axes_from : {"file", "user", "guess"}
        Where the axes come from.
    pixel_size : mapping
        Physical size per spatial axis letter, where known.
    unit : str
        Unit of the pixel size, such as "um".
    path : Path or None
        Where it was read from.
    note : str
        What the user should know of how it was read.
    """

    data: ArrayLike
    axes: str
    name: str = "image"
    axes_from: str = "user"
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = "um"
    path: Path | None = None
    note: str = ""

    def with_data(self, data: ArrayLike, name: str, axes: str | None = None) -> "Image":
        """Return a result made from this image: same axes and pixel size."""
        return replace(
            self, data=data, name=name, axes=axes or self.axes, path=None, note=""
        )


def find_images(path: Path) -> list[Path]:
    """Return the images at `path`: itself, or those of a folder, sorted.

    Other files in a folder are passed over.

    Raises
    ------
    BadInputError
        If there is nothing at `path`, or no image in the folder.
    """
    if not path.exists():
        raise BadInputError(f"there is no file or folder {path}")
    if path.suffix.lower() in SUFFIXES:
        return [path]
    if path.is_dir():
        found = sorted(
            p
            for p in path.iterdir()
            if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
        )
        if found:
            return found
        raise BadInputError(
            f"the folder {path} holds no image; expected {', '.join(SUFFIXES)}"
        )
    raise BadInputError(
        f"{path.name} is not an image that can be read; expected {', '.join(SUFFIXES)}"
    )


def stem(path: Path) -> str:
    """Return the name of an image file without its (double) suffix."""
    name = path.name
    for suffix in (".ome.tif", ".ome.tiff", ".ome.zarr", *SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_image(path: Path, axes: str | None = None, *, lazy: bool = False) -> Image:
    """Open one image file.

    Parameters
    ----------
    path : Path
        TIFF, zarr or npy.
    axes : str, optional
        Overrides what the file says.
    lazy : bool
        Read pixels only where they are asked for, however small the file.

    Raises
    ------
    BadInputError
        If the file cannot be read, is RGB or complex, or `axes` do not fit.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in TIFF_SUFFIXES:
            image = _read_tiff(path, lazy)
        elif suffix == ".zarr":
            image = _read_zarr(path)
        elif suffix == ".npy":
            image = _read_npy(path)
        else:
            raise BadInputError(f"{path.name}: expected {', '.join(SUFFIXES)}")
    except BadInputError:
        raise
    except Exception as error:
        raise BadInputError(
            f"{path.name} cannot be read as an image; it may be damaged or not "
            f"finished ({type(error).__name__}: {error})"
        ) from error
    if axes is not None:
        letters = check_axes(axes, image.data.shape)
        image = replace(image, axes=letters, axes_from="user")
    check_pixels(image)
    return image


def check_pixels(image: Image) -> None:
    """Refuse what is no grey-level image: complex, boolean, empty, RGB.

    Raises
    ------
    BadInputError
        With what was expected and what came.
    """
    kind = np.dtype(image.data.dtype).kind
    if kind not in "uif":
        raise BadInputError(
            f"{image.name}: expected whole or real numbers, got {image.data.dtype}"
        )
    if 0 in image.data.shape:
        raise BadInputError(f"{image.name} is empty: shape {image.data.shape}")
    looks_rgb = image.data.shape[-1] in (3, 4) and image.axes_from == "guess"
    if looks_rgb and len(image.data.shape) == 3:
        raise BadInputError(
            f"{image.name} looks like a color (RGB) picture: shape "
            f"{image.data.shape}; expected grey levels. Give the axes (YXC) if the "
            "last axis are measured channels"
        )


def _read_tiff(path: Path, lazy: bool) -> Image:
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        grey = series.keyframe.photometric in GREY
        if not grey or series.axes.endswith("S"):  # S: color samples, to tifffile
            raise BadInputError(
                f"{path.name} is a color (RGB) picture; expected grey levels"
            )
        axes, origin = _letters(series.axes, series.shape)
        pixel_size, unit = _tiff_pixel_size(tiff)
        others = len(tiff.series) - 1
        if series.nbytes <= EAGER_LIMIT and not lazy:
            data: ArrayLike = series.asarray()
        else:
            data = _lazy_tiff(path)
    note = f"{path.name} holds {others} more series, which are not read"
    return Image(
        data,
        axes,
        stem(path),
        origin,
        pixel_size,
        unit,
        path,
        note if others else "",
    )


def _lazy_tiff(path: Path) -> ArrayLike:
    """Open a TIFF piece by piece; its file is closed with the last use of the array."""
    store = tifffile.imread(path, aszarr=True)
    opened: Any = zarr.open(store, mode="r")
    array = opened if isinstance(opened, zarr.Array) else opened["0"]
    weakref.finalize(array, store.close)
    return array


def _letters(axes: str, shape: tuple[int, ...]) -> tuple[str, str]:
    """Turn tifffile's axes into ours; unknown ones are guessed."""
    if set(axes) <= set(LETTERS) and "X" in axes:
        return axes, "file"
    known = axes.replace("I", "T").replace("Q", "T") if axes.endswith("YX") else ""
    if len(set(known)) == len(known) > 0 and set(known) <= set(LETTERS):
        return known, "guess"
    return guess_axes(shape), "guess"


GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
_TO_UM = {"micron": 1.0, "µm": 1.0, "um": 1.0, "\\u00b5m": 1.0, "nm": 1e-3, "mm": 1e3}


def _tiff_pixel_size(tiff: tifffile.TiffFile) -> tuple[dict[str, float], str]:
    if tiff.ome_metadata:
        first = re.search(r"<Pixels[^>]*>", tiff.ome_metadata)
        text = first.group() if first else ""
        found = re.findall(r'PhysicalSize([XYZ])="([0-9.eE+-]+)"', text)
        units = re.findall(r'PhysicalSizeXUnit="([^"]+)"', text)
        unit = {"µm": "um"}.get(units[0], units[0]) if units else "um"
        return {a: float(v) for a, v in found}, unit
    size: dict[str, float] = {}
    metadata: dict[str, Any] = tiff.imagej_metadata or {}
    per_unit = _TO_UM.get(str(metadata.get("unit", "")))
    if per_unit is None:
        return size, "um"
    tags = tiff.pages.first.tags
    for letter, name in (("X", "XResolution"), ("Y", "YResolution")):
        value = tags.valueof(name)
        if value and value[0]:
            size[letter] = per_unit * value[1] / value[0]
    if "spacing" in metadata:
        size["Z"] = per_unit * float(metadata["spacing"])
    return size, "um"


def _read_zarr(path: Path) -> Image:
    opened = zarr.open(path, mode="r")
    name = stem(path)
    if isinstance(opened, zarr.Array):
        return Image(opened, guess_axes(opened.shape), name, "guess", path=path)
    attributes: Any = opened.attrs.asdict()
    scales = attributes.get("ome", attributes).get("multiscales")
    if not scales:
        raise BadInputError(f"{path.name} is a zarr group without an OME-Zarr image")
    level = scales[0]["datasets"][0]
    inner = str(level["path"])
    if ".." in Path(inner).parts or Path(inner).is_absolute():
        raise BadInputError(f"{path.name} points outside itself: {inner!r}")
    array: Any = opened[inner]
    described = scales[0].get("axes")
    if not described:
        return Image(array, guess_axes(array.shape), name, "guess", path=path)
    axes = check_axes("".join(a["name"] for a in described), array.shape)
    size: dict[str, float] = {}
    for transform in level.get("coordinateTransformations", []):
        if transform["type"] == "scale":
            pairs = zip(axes, transform["scale"], strict=True)
            size = {a: float(s) for a, s in pairs if a in "ZYX"}
    space = [a for a in described if str(a["name"]).upper() in "ZYX"]
    units = [str(a["unit"]) for a in space if a.get("unit")]
    if not units and set(size.values()) == {1.0}:
        size = {}  # what is written where no size is known
    short = {long: s for s, long in ZARR_UNITS.items()}
    unit = short.get(units[0], units[0]) if units else "um"
    return Image(array, axes, name, "file", size, unit, path)


#: Names of units in OME-Zarr, by ours.
ZARR_UNITS = {"um": "micrometer", "nm": "nanometer", "mm": "millimeter"}


def _read_npy(path: Path) -> Image:
    data = np.load(path, mmap_mode="r", allow_pickle=False)
    return Image(data, guess_axes(data.shape), stem(path), "guess", path=path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write numbers as JSON; the file appears whole or not at all."""
    with atomic(path) as temporary:
        text = json.dumps(dict(content), indent=2) + "\n"
        temporary.write_text(text, encoding="utf-8")


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse to write over something.

    Raises
    ------
    BadInputError
        If `path` exists and `overwrite` is false.
    """
    if path.exists() and not overwrite:
        raise BadInputError(
            f"{path} exists already; choose another name or allow overwriting"
        )


def write_image(
    path: Path, image: Image, extra: Mapping[str, Any] | None = None
) -> None:
    """Write an image as OME-TIFF, or as OME-Zarr or npy by the suffix of `path`.

    The file appears whole or not at all: it is written under another name and
    renamed.

    Parameters
    ----------
    path : Path
        Ends in .tif, .tiff, .zarr or .npy.
    image : Image
        Axes and pixel size go into the metadata.
    extra : mapping, optional
        Provenance, put into the description as JSON.
    """
    if path.suffix == ".zarr":
        _write_zarr(path, image, extra or {})
        return
    with atomic(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, np.asarray(image.data))
        else:
            _write_tiff(temporary, image, extra or {})


class atomic:
    """Give a temporary path beside `path`, renamed to it if all went well."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        """Make the temporary file."""
        self.temporary = _beside(self.path)
        self.temporary.touch(exist_ok=False)
        return self.temporary

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Rename, or remove what is half written."""
        if kind is None:
            with self.temporary.open("r+b") as written:  # Windows syncs no "rb"
                os.fsync(written.fileno())
            self.temporary.replace(self.path)
        else:
            with suppress(OSError):
                self.temporary.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex}{path.suffix}")


def _ome_order(data: NDArray[Any], axes: str) -> tuple[NDArray[Any], str]:
    """Return pixels with axes that OME knows: Y X last, samples as time points."""
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


def _write_tiff(path: Path, image: Image, extra: Mapping[str, Any]) -> None:
    data, axes = _ome_order(np.asarray(image.data), image.axes)
    kind = OME_TYPES.get(data.dtype.name)
    data = data.astype(kind) if kind else data
    metadata: dict[str, Any] = {"axes": axes, "Name": image.name}
    if extra:
        metadata["Description"] = json.dumps(dict(extra))
    for letter, size in image.pixel_size.items():
        metadata[f"PhysicalSize{letter}"] = size
        metadata[f"PhysicalSize{letter}Unit"] = _ome_unit(image.unit)
    tifffile.imwrite(
        path,
        data,
        ome=True,
        bigtiff=data.nbytes > 3 << 30,
        photometric="minisblack",
        metadata=metadata,
        compression="zlib",
    )


#: Types that OME lacks, and what holds their values.
OME_TYPES = {"int64": "float64", "uint64": "float64", "float16": "float32"}


def _ome_unit(unit: str) -> str:
    return {"um": "µm", "micron": "µm", "micrometer": "µm"}.get(unit, unit)


def _write_zarr(path: Path, image: Image, extra: Mapping[str, Any]) -> None:
    temporary, old = _beside(path), _beside(path)
    try:
        kind = np.dtype(image.data.dtype)
        array = create_zarr(temporary, image, image.data.shape, kind)
        array[...] = np.asarray(image.data)
        group = zarr.open_group(temporary, mode="r+")
        group.attrs["napari_cosdd"] = dict(extra)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def create_zarr(
    path: Path, image: Image, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    """Make an OME-Zarr (version 0.5) with one level; return its array."""
    group = zarr.open_group(path, mode="w")
    spatial = {"Z": 1, "Y": 512, "X": 512}
    chunks = tuple(
        min(n, spatial.get(a, 1)) for a, n in zip(image.axes, shape, strict=True)
    )
    array = group.create_array("0", shape=shape, dtype=dtype, chunks=chunks)
    kinds = {"T": "time", "C": "channel", "S": "other"}
    axes = [{"name": a.lower(), "type": kinds.get(a, "space")} for a in image.axes]
    if image.pixel_size:
        unit = ZARR_UNITS.get(image.unit, image.unit)
        axes = [a | {"unit": unit} if a["type"] == "space" else a for a in axes]
    scale = [image.pixel_size.get(a, 1.0) for a in image.axes]
    level = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": scale}],
    }
    multiscales: Any = [{"name": image.name, "axes": axes, "datasets": [level]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    return array


def as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert grey levels: whole numbers are rounded and kept within their range."""
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)
