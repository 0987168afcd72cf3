"""Reading and writing TIFF, OME-TIFF, BigTIFF, Zarr, OME-Zarr and npy."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosdd.errors import BadInputError, NotEnoughMemoryError, SavingError
from napari_cosdd.images.axes import check_axes, guess_axes
from napari_cosdd.images.files import atomic
from napari_cosdd.images.formats.em import READERS, read_em
from napari_cosdd.images.formats.ome_zarr import ZIPPED, is_zarr, read_zarr
from napari_cosdd.images.formats.ome_zarr_writer import write_zarr
from napari_cosdd.images.formats.tiff import EAGER_LIMIT, read_tiff
from napari_cosdd.images.formats.tiff_writer import write_tiff
from napari_cosdd.images.image import Image, check_pixels

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".stk", ".lsm")
#: Double suffixes.
DOUBLE = (".ome.tif", ".ome.tiff", ".ome.zarr", ".ome.zarr.zip", ".ome.ozx")
#: Suffixes of files that may hold several images.
HOLDERS = (*TIFF_SUFFIXES, *READERS)
SUFFIXES = (*HOLDERS, ".zarr", *ZIPPED, ".npy")


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in small letters; that of a zipped zarr is double."""
    name = path.name.lower()
    return next((s for s in ZIPPED if name.endswith(s)), path.suffix.lower())


def series_of(path: Path) -> int | None:
    """Return the number N of a path FILE/N to a series of a file, else None."""
    is_one = path.name.isdecimal() and path.parent.suffix.lower() in HOLDERS
    return int(path.name) if is_one and path.parent.is_file() else None


def holder_of(path: Path) -> Path:
    """Return the file or plate that holds an image; the path itself if none does."""
    holders = (*HOLDERS, ".zarr")
    return next((p for p in path.parents if p.suffix.lower() in holders), path)


def stem(path: Path) -> str:
    """Return the name of an image without its (double) suffix.

    A series or a field of a plate is called after its file, as in "plate-A-1-0".
    """
    outer = holder_of(path)
    inside = list(path.relative_to(outer).parts)
    name = outer.name
    for suffix in DOUBLE + SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    # Bytes that are no text would fail later, where names are written or shown.
    return re.sub("[\ud800-\udfff\x00-\x1f\x7f]", "\ufffd", "-".join([name, *inside]))


def read_image(
    path: Path,
    axes: str | None = None,
    *,
    lazy: bool = False,
    salvage: bool = False,
    as_mask: bool = False,
) -> Image:
    """Open one image.

    Parameters
    ----------
    path : Path
        TIFF, zarr (a folder, or in a zip), npy, or a file of an electron microscope;
        FILE/N is the series N of a file, from 0.
    axes : str, optional
        Overrides what the file says.
    lazy : bool
        Read pixels on demand, even if the file is small.
    salvage : bool
        Read what is whole of a TIFF that is cut short, or of a set of which files are
        missing.
    as_mask : bool
        Take pixels of every type, also boolean ones.

    Raises
    ------
    BadInputError
        If the file cannot be read, is RGB or complex, or `axes` do not fit.
    """
    number, name = series_of(path), stem(path)
    file = path if number is None else path.parent
    suffix = suffix_of(file)
    if file.suffix and not file.exists():
        raise BadInputError(f"there is no file {file}")
    try:
        if suffix in TIFF_SUFFIXES:
            image = read_tiff(
                file,
                name,
                lazy=lazy,
                axes_are_given=axes is not None,
                series=number,
                salvage=salvage,
            )
        elif suffix in (".zarr", *ZIPPED) or is_zarr(path):
            image = read_zarr(path, name)
        elif suffix in READERS:
            image = read_em(file, name, number)
        elif suffix == ".npy":
            image = _read_npy(path)
        else:
            raise BadInputError(f"{path.name}: expected {', '.join(SUFFIXES)}")
    except BadInputError:
        raise
    except MemoryError as error:
        raise NotEnoughMemoryError(
            f"{path.name} does not fit into memory ({error})"
        ) from error
    except Exception as error:
        raise BadInputError(
            f"{path.name} cannot be read as an image; it may be damaged or not "
            f"finished ({type(error).__name__}: {error})"
        ) from error
    if axes is not None:
        letters = check_axes(axes, image.data.shape)
        image = replace(image, axes=letters, axes_from="user")
    if not as_mask:
        check_pixels(image)
    return image


def _read_npy(path: Path) -> Image:
    # The file is first mapped, so a header that claims too large an array takes no
    # memory. It is then read: if a mapped file is truncated, access ends the program.
    data = np.load(path, mmap_mode="r", allow_pickle=False)
    if data.nbytes <= EAGER_LIMIT:
        data = np.array(data)
    return Image(data, guess_axes(data.shape), stem(path), "guess", path=path)


def write_image(
    path: Path, image: Image, extra: Mapping[str, Any] | None = None
) -> None:
    """Write an image as OME-TIFF, or as OME-Zarr or npy by the suffix of `path`.

    The file is written atomically: under a temporary name, then renamed.

    Parameters
    ----------
    path : Path
        Ends in .tif, .tiff, .zarr or .npy.
    image : Image
        Axes and pixel size go into the metadata.
    extra : mapping, optional
        Provenance, put into the description as JSON.

    Raises
    ------
    SavingError
        If it cannot be written; nothing is left behind.
    """
    try:
        if path.suffix == ".zarr":
            write_zarr(path, image, extra or {})
            return
        with atomic(path) as temporary:
            if path.suffix == ".npy":
                np.save(temporary, np.asarray(image.data))
            else:
                write_tiff(temporary, image, extra or {})
    except OSError as error:
        raise SavingError(f"{path} could not be written: {error}") from error
