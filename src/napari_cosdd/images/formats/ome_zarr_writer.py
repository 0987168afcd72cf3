"""Writing OME-Zarr: whole images, and empty ones that are filled chunk by chunk."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from napari_cosdd.images.files import beside, rename
from napari_cosdd.images.image import Image
from napari_cosdd.images.units import zarr_name


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


class _Unshared(LocalStore):
    """A folder that nobody else writes to yet.

    zarr makes sure by hard links that it overwrites nothing; memory cards and many
    network disks have none.
    """

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        """Write a file unless it is there."""
        if not await self.exists(key):
            await self.set(key, value)


def replace_folder(new: Path, path: Path) -> None:
    """Rename `new` to `path`; an existing folder is deleted afterwards."""
    old = beside(path)
    if path.exists():
        rename(path, old)
    try:
        rename(new, path)
    except OSError:
        if old.exists():
            rename(old, path)
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
    group = zarr.open_group(_Unshared(path), mode="w")
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
