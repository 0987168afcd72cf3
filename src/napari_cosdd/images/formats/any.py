"""Reading and writing TIFF, OME-TIFF, BigTIFF, Zarr, OME-Zarr and npy."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import check_axes, guess_axes
from napari_cosdd.images.files import atomic
from napari_cosdd.images.formats.ome_zarr import read_zarr, write_zarr
from napari_cosdd.images.formats.tiff import EAGER_LIMIT, read_tiff, write_tiff
from napari_cosdd.images.image import Image, check_pixels

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
SUFFIXES = (*TIFF_SUFFIXES, ".zarr", ".npy")


def find_images(path: Path) -> list[Path]:
    """Return the images at `path`: itself, or those of a folder, sorted.

    Other files in a folder are ignored.

    Raises
    ------
    BadInputError
        If there is nothing at `path`, or no image in the folder.
    """
    if not path.exists():
        raise BadInputError(f"there is no file or folder {path}")
    if path.suffix.lower() in SUFFIXES or _is_zarr(path):
        return [path]
    if path.is_dir():
        paths = sorted(
            p
            for p in path.iterdir()
            if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
        )
        if paths:
            return paths
        raise BadInputError(
            f"the folder {path} holds no image; expected {', '.join(SUFFIXES)}"
        )
    raise BadInputError(
        f"{path.name} is not an image that can be read; expected {', '.join(SUFFIXES)}"
    )


def _is_zarr(path: Path) -> bool:
    """Whether a folder holds zarr metadata, whatever its name."""
    return any((path / name).is_file() for name in ("zarr.json", ".zattrs", ".zarray"))


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
        Read pixels on demand, even if the file is small.

    Raises
    ------
    BadInputError
        If the file cannot be read, is RGB or complex, or `axes` do not fit.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in TIFF_SUFFIXES:
            image = read_tiff(path, stem(path), lazy, axes is not None)
        elif suffix == ".zarr" or _is_zarr(path):
            image = read_zarr(path, stem(path))
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
    """
    if path.suffix == ".zarr":
        write_zarr(path, image, extra or {})
        return
    with atomic(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, np.asarray(image.data))
        else:
            write_tiff(temporary, image, extra or {})
