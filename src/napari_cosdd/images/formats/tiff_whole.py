"""Whether a TIFF is whole, and what is whole of one that is not."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import letters_of
from napari_cosdd.images.formats.ome_xml import OmeMetadata
from napari_cosdd.images.formats.tiff_planes import (
    imagej_planes,
    lazy_block,
    names_missing,
    pages_of,
    whole_planes,
    without_broken,
)
from napari_cosdd.images.stack import ArrayLike

#: Largest plausible compression ratio; a higher one marks a damaged file.
PACKED = 5000
#: Kinds of series, as tifffile names them, that are all planes that the file lists.
LISTED = ("generic", "uniform")
#: Largest plausible number of planes of a file of which some are missing.
MOST_PLANES = 10**6


def what_is_missing(
    path: Path,
    tiff: tifffile.TiffFile,
    series: Any,
    ome: OmeMetadata | None,
    index: int,
) -> str:
    """Describe what a series promises and the file has not; empty if it is whole."""
    if ome:
        absent = names_missing(path.parent, _files(path, tiff, ome, index))
        if absent:
            listed = ", ".join(absent[:5]) + (" …" if absent[5:] else "")
            return f"{len(absent)} files of its set are missing ({listed})"
    if not ome or ome.files <= {path.name}:  # else pixels are elsewhere
        _check_size(path, series)
    said = tiff.imagej_metadata or {}
    promised = said.get("images", 1)
    promised = promised if isinstance(promised, int) else 1
    page = series.keyframe
    if promised > series.size // max(1, page.size):
        room = (path.stat().st_size - page.dataoffsets[0]) // page.nbytes
        return (
            f"its description says {promised} planes, and the file has room for {room}"
        )
    whole = whole_planes(path, series)
    if not whole.all():
        return f"{int(whole.sum())} of {whole.size} planes are there"
    if series.kind in LISTED and not _list_ends(tiff):
        return f"after {whole.size} planes its list of planes leads nowhere"
    return ""


def _list_ends(tiff: tifffile.TiffFile) -> bool:
    """Whether the list of pages has an end: in a file that was cut, it may not."""
    form, file = tiff.tiff, tiff.filehandle
    start = tiff.pages[len(tiff.pages) - 1].offset
    file.seek(start)
    (n,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(start + form.tagnosize + n * form.tagsize)
    (following,) = struct.unpack(form.offsetformat, file.read(form.offsetsize))
    return bool(following == 0)


def not_decoded(series: Any) -> str:
    """Describe the first plane of a series that cannot be decoded, after an error."""
    pages = pages_of(series)
    for i, page in enumerate(pages):
        try:
            page.asarray()
        except Exception as error:  # noqa: BLE001 - each codec has errors of its own
            return f"plane {i} of {len(pages)} cannot be decoded ({error})"
    return "its planes cannot be decoded together"


def _files(
    path: Path, tiff: tifffile.TiffFile, ome: OmeMetadata, index: int
) -> list[str]:
    """Return the names of the files that hold a series."""
    if len(ome.images) == len(tiff.series):
        return sorted(ome.images[index])
    # Images whose files are missing are no series: it is one of this file.
    return sorted(next((names for names in ome.images if path.name in names), ()))


def salvaged(
    path: Path, tiff: tifffile.TiffFile, series: Any, axes: str
) -> tuple[ArrayLike, str, str]:
    """Return what is whole of a series: pixels, axes, and a sentence."""
    page = series.keyframe
    if (tiff.imagej_metadata or {}).get("images", 1) > series.size // page.size:
        known, pixels = imagej_planes(path, tiff)
        axes = letters_of(known, pixels.shape)[0]
        axis, n = 0, len(pixels)
    else:
        whole = whole_planes(path, series)
        data = _readable(path, tiff, series, whole)
        if not whole.ndim or not whole.any():
            raise BadInputError(f"{path.name}: no plane of it is whole")
        pixels, axis, n = without_broken(data, whole)
    if not n:
        raise BadInputError(f"{path.name}: nothing of it is whole along any axis")
    words = {"T": "time points", "Z": "slices", "C": "channels"}
    return pixels, axes, f"{n} {words.get(axes[axis], 'planes')} are used"


def _readable(
    path: Path, tiff: tifffile.TiffFile, series: Any, whole: NDArray[np.bool_]
) -> NDArray[Any]:
    """Read the whole planes of a series; the others are zeros.

    Planes that cannot be decoded are removed from `whole`.
    """
    pixels = np.zeros(series.shape, series.dtype)
    flat = pixels.reshape(-1, *series.keyframe.shape)
    if series.dataoffset is None:
        pages = pages_of(series)
        if any(page is not None and page.parent is not tiff for page in pages):
            return np.asarray(series.asarray())  # opens the other files again
        for i in np.flatnonzero(whole.ravel()):
            try:
                flat[i] = pages[int(i)].asarray()
            except Exception:  # noqa: BLE001 - each codec has errors of its own
                whole.flat[i] = False
        return pixels
    planes = lazy_block(path, series)
    for at in np.ndindex(*whole.shape):
        if whole[at]:
            pixels[at] = planes[at]
    return pixels


def _check_size(path: Path, series: Any) -> None:
    """Refuse a header that claims more pixels than the file can hold."""
    page = series.keyframe
    packed = page.compression != tifffile.COMPRESSION.NONE
    size, claimed = path.stat().st_size, series.size * page.bitspersample // 8
    planes = series.size // max(1, page.size)
    some = not packed and 1 < planes < MOST_PLANES and page.nbytes < size
    if claimed > size * (PACKED if packed or some else 1):
        raise BadInputError(
            f"{path.name} is truncated or damaged: its header says {claimed:,} bytes "
            f"of pixels, and the file has {size:,} bytes"
        )
