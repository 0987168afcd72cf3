"""Planes of a TIFF: reading parts of large files, and what is whole of damaged ones."""

import math
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from napari_cosdd.images.stack import ArrayLike


class PixelsInOneBlock:
    """An uncompressed series of a TIFF, of which the rows that are asked for are read.

    Usual writers put a plane into one strip, which other readers load as a whole for
    every crop. The file is not mapped: access to a map of a file that was cut short
    meanwhile ends the program.

    Parameters
    ----------
    path : Path
        The file.
    offset : int
        Position of the first pixel, bytes.
    shape : tuple of int
        Lengths of the axes; the last two are of the same plane.
    dtype : dtype
        Type of the pixels in the file, with its byte order.
    """

    def __init__(
        self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.path, self.offset, self.shape = path, offset, shape
        self.stored = dtype
        self.dtype = dtype.newbyteorder("=")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all pixels."""
        return self[()].astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Return the part at an index of whole numbers and slices of step 1."""
        index = index if isinstance(index, tuple) else (index,)
        index = (*index, *(slice(None),) * (len(self.shape) - len(index)))
        ranges = [_range(i, n) for i, n in zip(index, self.shape, strict=True)]
        part = np.empty([len(r) for r in ranges], self.dtype)
        *outer, rows, columns = ranges
        width = self.shape[-1]
        with self.path.open("rb") as file:
            for at in np.ndindex(*part.shape[:-2]):
                chosen = [r[i] for r, i in zip(outer, at, strict=True)]
                row = (
                    np.ravel_multi_index([*chosen, rows.start], self.shape[:-1])
                    if rows
                    else 0
                )
                file.seek(self.offset + int(row) * width * self.stored.itemsize)
                lines = np.fromfile(file, self.stored, len(rows) * width)
                if len(lines) < len(rows) * width:
                    raise EOFError("the file ends before its pixels do")
                lines = lines.reshape(len(rows), width)
                part[at] = lines[:, columns.start : columns.stop]
        keep = tuple(
            0 if isinstance(i, (int, np.integer)) else slice(None) for i in index
        )
        return part[keep]


def _range(index: Any, length: int) -> range:
    """Return the positions of a whole number, or of a slice of step 1."""
    if isinstance(index, slice):
        return range(*index.indices(length))
    return range(index, index + 1) if index >= 0 else range(length + index, length)


def lazy_block(path: Path, series: Any) -> PixelsInOneBlock:
    """Open a series whose pixels lie in one block."""
    kind = np.dtype(series.dtype).newbyteorder(series.parent.byteorder)
    return PixelsInOneBlock(path, series.dataoffset, tuple(series.shape), kind)


def lazy_series(path: Path, series: Any, index: int) -> ArrayLike:
    """Open a series for reading on demand; its file is closed with the array."""
    if series.dataoffset is not None and len(series.shape) > 1:
        return lazy_block(path, series)
    store = tifffile.imread(path, aszarr=True, series=index)
    opened: Any = zarr.open(store, mode="r")
    array = opened if isinstance(opened, zarr.Array) else opened["0"]
    weakref.finalize(array, store.close)
    return array


def whole_planes(path: Path, series: Any) -> NDArray[np.bool_]:
    """Return which planes of a series are whole, in the shape of its outer axes.

    A plane is not whole if its page is missing or its pixels end after the file.
    """
    n = max(1, series.size // max(1, series.keyframe.size))
    # A page may lack axes of length 1 at the end of the series.
    n_outer = next(k for k in range(series.ndim) if math.prod(series.shape[:k]) == n)
    outer = tuple(series.shape[:n_outer])
    if series.dataoffset is not None:
        planes = 1 + np.arange(n, dtype=np.int64)  # Windows' usual integers end at 2 GB
        ends = series.dataoffset + planes * series.keyframe.nbytes
        return np.asarray(ends <= path.stat().st_size).reshape(outer)
    size = path.stat().st_size
    own = [_is_whole(page, path, size) for page in pages_of(series)]
    return np.resize(own, n).reshape(outer)


def pages_of(series: Any) -> list[Any]:
    """Return the pages of a series; None for those that are not there."""
    pages: list[Any] = []
    for i in range(len(series.pages)):
        try:
            pages.append(series.pages[i])
        except IndexError:
            pages.append(None)
    return pages


def _is_whole(page: Any, path: Path, size: int) -> bool:
    """Whether a page exists; if it is of this file, whether its pixels are in it."""
    if page is None:
        return False
    if Path(page.parent.filehandle.path).name != path.name or not page.dataoffsets:
        return bool(page.dataoffsets)
    ends = zip(page.dataoffsets, page.databytecounts, strict=True)
    return all(offset + count <= size for offset, count in ends)


def without_broken(
    pixels: NDArray[Any], whole: NDArray[np.bool_]
) -> tuple[NDArray[Any], int, int]:
    """Leave out what is not whole, along the outer axis that keeps the most.

    Parameters
    ----------
    pixels : ndarray, shape (*outer, ...)
        Pixels; those of broken planes are arbitrary.
    whole : ndarray of bool, shape outer
        Which planes are whole.

    Returns
    -------
    pixels : ndarray
        The whole part.
    axis, n : int
        The axis along which parts were left out, and how many are kept.
    """
    kept = []
    for axis in range(whole.ndim):
        others = tuple(a for a in range(whole.ndim) if a != axis)
        kept.append(whole.all(others))
    shares = [float(k.mean()) for k in kept]
    axis = int(np.argmax(shares))
    return np.compress(kept[axis], pixels, axis), axis, int(kept[axis].sum())


def imagej_planes(path: Path, tiff: tifffile.TiffFile) -> tuple[str, NDArray[Any]]:
    """Return axes and whole planes of an ImageJ stack that is cut short.

    Of a hyperstack the outermost axis is shortened: time, else depth.
    """
    said: Any = tiff.imagej_metadata
    page = tiff.pages.first
    lengths = [
        (letter, int(said.get(name, 1)))
        for letter, name in (("T", "frames"), ("Z", "slices"), ("C", "channels"))
    ]
    if math.prod(n for _, n in lengths) != int(said["images"]):
        lengths = [("T", int(said["images"]))]
    outer = [(letter, n) for letter, n in lengths if n > 1]
    start = page.dataoffsets[0]
    available = (path.stat().st_size - start) // page.nbytes
    inner = math.prod(n for _, n in outer[1:])
    whole = available // inner
    kind = np.dtype(page.dtype).newbyteorder(tiff.byteorder)
    count = whole * inner * page.size
    pixels = np.fromfile(path, kind, count, offset=start)
    shape = (whole, *(n for _, n in outer[1:]), *page.shape)
    native = pixels.astype(kind.newbyteorder("=")).reshape(shape)
    return "".join(letter for letter, _ in outer) + page.axes, native


def names_missing(folder: Path, names: Sequence[str]) -> list[str]:
    """Return which files of a set are not in its folder."""
    return [name for name in names if not (folder / name).is_file()]
