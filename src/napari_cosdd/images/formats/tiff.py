"""TIFF, OME-TIFF and BigTIFF, with axes and pixel size."""

import json
import logging
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import LETTERS, guess_axes
from napari_cosdd.images.formats.ome_xml import OmeMetadata
from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import ArrayLike
from napari_cosdd.images.units import in_one_unit, in_seconds, ome_name

#: Largest file that is read at once, bytes; larger ones are read on demand.
EAGER_LIMIT = 1 << 30
#: Largest plausible compression ratio; a higher one marks a damaged file.
PACKED = 5000
#: Number of read errors after which a file is refused as damaged.
COMPLAINTS = 1000


def read_tiff(path: Path, name: str, lazy: bool, axes_are_given: bool) -> Image:
    """Read the first series of a file that is no preview.

    Parameters
    ----------
    path, name : Path, str
        The file, and the name of its image.
    lazy : bool
        Read pixels on demand, even if the file is small.
    axes_are_given : bool
        Whether the user names the axes: then nothing is taken for a color picture.

    Raises
    ------
    BadInputError
        If the file is damaged or a color picture.
    """
    with _patience(path), tifffile.TiffFile(path) as tiff:
        ome = _ome(path, tiff)  # first: refuses links to other folders
        index = _first_full(tiff.series)
        series = tiff.series[index]
        known = series.axes if axes_are_given else _without_samples(path, series)
        if ome is None or not ome.files:  # else pixels are elsewhere
            _check_size(path, series)
        _check_promise(path, tiff, series)
        axes, origin = _letters(known, series.shape)
        pixel_size, unit = (ome.pixel_size, ome.unit) if ome else _resolution(tiff)
        interval = ome.interval if ome else _interval(tiff)
        others = len(tiff.series) - 1
        if series.nbytes <= EAGER_LIMIT and not lazy:
            data: ArrayLike = series.asarray()
        else:
            data = _lazy_tiff(path, index)
    note = f"{path.name} holds {others} more series, which are not read"
    return Image(
        data,
        axes,
        name,
        axes_from=origin,
        pixel_size=pixel_size,
        unit=unit,
        channels=_channels(ome, axes, series.shape),
        path=path,
        note=note if others else "",
        interval=interval,
        is_result=bool(ome and ome.is_result),
    )


class _Complaints(logging.Handler):
    """Counts the errors that tifffile logs; too many end the reading."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.ERROR)
        self.path, self.n = path, 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one error."""
        self.n += 1
        if self.n > COMPLAINTS:
            raise BadInputError(
                f"{self.path.name} is damaged: {self.n} of its parts cannot be read"
            )


@contextmanager
def _patience(path: Path) -> Iterator[None]:
    """Limit the number of errors, as a cyclic list of pages causes them endlessly."""
    logger, complaints = logging.getLogger("tifffile"), _Complaints(path)
    logger.addHandler(complaints)
    try:
        yield
    finally:
        logger.removeHandler(complaints)


def _ome(path: Path, tiff: tifffile.TiffFile) -> OmeMetadata | None:
    """Return the file's OME metadata, if it has any."""
    text = tiff.ome_metadata
    return OmeMetadata.parse(text, path.name) if text else None


def _check_size(path: Path, series: Any) -> None:
    """Refuse a header that claims more pixels than the file can hold."""
    page = series.keyframe
    packed = page.compression != tifffile.COMPRESSION.NONE
    size, claimed = path.stat().st_size, series.size * page.bitspersample // 8
    if claimed > size * (PACKED if packed else 1):
        raise BadInputError(
            f"{path.name} is truncated or damaged: its header says {claimed:,} bytes "
            f"of pixels, and the file has {size:,} bytes"
        )


def _check_promise(path: Path, tiff: tifffile.TiffFile, series: Any) -> None:
    """Refuse an ImageJ stack of which the end is missing: one plane would be read."""
    promised = int((tiff.imagej_metadata or {}).get("images", 1))
    planes = series.size // max(1, series.keyframe.size)
    if promised > planes:
        whole = (path.stat().st_size - series.dataoffset) // series.keyframe.nbytes
        raise BadInputError(
            f"{path.name} is cut short: its description says {promised} planes, and "
            f"the file has room for {whole}; copy or export it again"
        )


def _lazy_tiff(path: Path, series: int) -> ArrayLike:
    """Open a TIFF for reading on demand; it is closed when the array is deleted."""
    store = tifffile.imread(path, aszarr=True, series=series)
    opened: Any = zarr.open(store, mode="r")
    array = opened if isinstance(opened, zarr.Array) else opened["0"]
    weakref.finalize(array, store.close)
    return array


def _letters(axes: str, shape: tuple[int, ...]) -> tuple[str, str]:
    """Return our letters for tifffile's axes, and whether they are a guess."""
    if set(axes) <= set(LETTERS) and "X" in axes:
        return axes, "file"
    if not axes.endswith("YX"):
        return guess_axes(shape), "guess"
    free = [letter for letter in "TSZC" if letter not in axes]
    known = [a for a in axes if a in LETTERS]
    if len(set(known)) < len(known) or len(axes) - len(known) > len(free):
        return guess_axes(shape), "guess"
    # those without a meaning of ours, such as positions (R), become time or samples
    return "".join(a if a in LETTERS else free.pop(0) for a in axes), "guess"


#: Meanings of pixel values that are one number each. Those of a palette are indices,
#: which are grey levels where a look-up table colors a grey image.
GREY = (
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.PALETTE,
)


def _first_full(series: Sequence[Any]) -> int:
    """Return the index of the first series that is no reduced preview; else 0."""
    full = (i for i, s in enumerate(series) if not s.keyframe.is_reduced)
    return next(full, 0)


def _without_samples(path: Path, series: Any) -> str:
    """Return tifffile's axes of a grey-level image, without its S for color samples.

    Samples of grey pixels are channels. `tifffile.imwrite(name, stack)` tags three or
    four planes as color: planes apart that are no bytes are a stack.

    Raises
    ------
    BadInputError
        If the series is a color picture.
    """
    page, axes = series.keyframe, str(series.axes)
    if "S" not in axes and page.photometric in (*GREY, tifffile.PHOTOMETRIC.RGB):
        return axes  # the metadata name the axes, whatever the tag says
    apart = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    pixels_of_bytes = page.dtype == "u1" and page.samplesperpixel in (3, 4)
    if page.photometric in GREY and (apart or not pixels_of_bytes):
        return axes.replace("S", "C") if "C" not in axes else axes
    if page.photometric == tifffile.PHOTOMETRIC.RGB and apart and not pixels_of_bytes:
        return axes.replace("S", "Q")
    remedy = "split its channels, and save one as a TIFF of its own"
    if apart:
        remedy = "if these are planes or channels, give the axes (TYX, ZYX, CYX)"
    raise BadInputError(
        f"{path.name} is a color (RGB) picture; expected grey levels: {remedy}"
    )


def _resolution(tiff: tifffile.TiffFile) -> tuple[dict[str, float], str]:
    """Return the pixel size that ImageJ wrote, or that the tags give."""
    size: dict[str, tuple[float, str]] = {}
    metadata: dict[str, Any] = tiff.imagej_metadata or {}
    unit = str(metadata.get("unit", ""))
    units = {a: str(metadata.get(f"{a.lower()}unit", unit)) for a in "YZ"}
    tags = tiff.pages.first.tags
    scale = 1.0
    if not unit and (in_micrometres := UNITS.get(tags.valueof("ResolutionUnit"))):
        scale, unit, units = in_micrometres, "µm", {}
    for letter, name in (("X", "XResolution"), ("Y", "YResolution")):
        value = tags.valueof(name)
        if value and value[0]:
            size[letter] = scale * value[1] / value[0], units.get(letter, unit)
    if "spacing" in metadata:
        size["Z"] = float(metadata["spacing"]), units.get("Z", unit)
    return in_one_unit(size)


#: Micrometres in the units of the tag ResolutionUnit: centimetre, and by custom
#: millimetre and micrometre. The inch is left out: most writers mean nothing by it.
UNITS = {3: 1e4, 4: 1e3, 5: 1.0}


def _interval(tiff: tifffile.TiffFile) -> float | None:
    """Return the seconds between time points that ImageJ wrote."""
    metadata: dict[str, Any] = tiff.imagej_metadata or {}
    time, unit = metadata.get("finterval"), str(metadata.get("tunit", "s"))
    return in_seconds(time, unit) if isinstance(time, (int, float)) else None


def _channels(
    ome: OmeMetadata | None, axes: str, shape: tuple[int, ...]
) -> tuple[str, ...]:
    """Return the names of the channels of the first image, if each has one."""
    names = ome.channels if ome else ()
    expected = shape[axes.index("C")] if "C" in axes and len(axes) == len(shape) else 1
    return names if len(names) == expected else ()


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
