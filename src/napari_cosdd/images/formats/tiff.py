"""TIFF, OME-TIFF and BigTIFF, with axes and pixel size."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tifffile

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import letters_of
from napari_cosdd.images.formats.instruments import data_bar, instrument_sizes
from napari_cosdd.images.formats.ome_xml import OmeMetadata
from napari_cosdd.images.formats.tiff_planes import lazy_series
from napari_cosdd.images.formats.tiff_whole import (
    not_decoded,
    salvaged,
    what_is_missing,
)
from napari_cosdd.images.image import Image
from napari_cosdd.images.units import in_one_unit, in_seconds
from napari_cosdd.remedies import Remedy

#: Largest file that is read at once, bytes; larger ones are read on demand.
EAGER_LIMIT = 1 << 30
#: Number of read errors after which a file is refused as damaged.
COMPLAINTS = 1000


def read_tiff(
    path: Path,
    name: str,
    *,
    lazy: bool = False,
    axes_are_given: bool = False,
    series: int | None = None,
    salvage: bool = False,
) -> Image:
    """Read a series of a file; default: the first of its own that is no preview.

    Parameters
    ----------
    path, name : Path, str
        The file, and the name of its image.
    lazy : bool
        Read pixels on demand, even if the file is small.
    axes_are_given : bool
        Whether the user names the axes: then nothing is taken for a color picture.
    series : int, optional
        Number of the series, from 0.
    salvage : bool
        Read what is whole of a series that is not, instead of refusing it.

    Raises
    ------
    BadInputError
        If the file is damaged, a color picture or one of a set of which files are
        missing, or has no such series.
    """
    with _patience(path), tifffile.TiffFile(path) as tiff:
        ome = _ome(path, tiff)  # first: refuses links to other folders
        index = _index(path, tiff, ome, series)
        if ome and (number := _number(path, tiff, ome, index)):
            ome = _ome(path, tiff, number)
        chosen = tiff.series[index]
        known = chosen.axes if axes_are_given else _without_samples(path, chosen)
        axes, origin = letters_of(known, chosen.shape)
        pixel_size, unit = (ome.pixel_size, ome.unit) if ome else _resolution(tiff)
        interval = ome.interval if ome else _interval(tiff)
        notes = []
        broken = what_is_missing(path, tiff, chosen, ome, index)
        data: Any = None
        if not broken and chosen.nbytes <= EAGER_LIMIT and not lazy:
            try:
                data = chosen.asarray()
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001 - each codec has errors of its own
                broken = not_decoded(chosen)
        if broken and not salvage:
            raise BadInputError(
                f"{path.name} is not whole: {broken}; copy or export it again, or read "
                f"what is whole ({Remedy.SALVAGE})"
            )
        if broken:
            data, axes, note = salvaged(path, tiff, chosen, axes)
            notes.append(f"{path.name}: {broken}; {note}")
        elif data is None:
            data = lazy_series(path, chosen, index)
        if bar := data_bar(tiff):
            notes.append(f"{path.name}: {bar}")
        others = [
            i
            for i, one in enumerate(tiff.series)
            if i != index and not one.keyframe.is_reduced
        ]
        if others and series is None and not ome:
            notes.append(
                f"{path.name} holds {len(others)} more series, which are not read; "
                f"{path.name}/{others[0]} is the next"
            )
    return Image(
        data,
        axes,
        name,
        axes_from=origin,
        pixel_size=pixel_size,
        unit=unit,
        channels=_channels(ome, axes, data.shape),
        path=path,
        note="; ".join(notes),
        interval=interval,
        is_result=bool(ome and ome.is_result),
    )


def ome_images(path: Path) -> tuple[frozenset[str], ...]:
    """Return the files of each image of an OME-TIFF; empty for other files.

    Only the first page is read. Damaged files are none: reading them says more.
    """
    try:
        with _patience(path), tifffile.TiffFile(path) as tiff:
            ome = _ome(path, tiff)
    except Exception:  # noqa: BLE001 - reading it says what is wrong
        return ()
    return ome.images if ome else ()


def _index(
    path: Path, tiff: tifffile.TiffFile, ome: OmeMetadata | None, series: int | None
) -> int:
    """Return the number of the series to read."""
    n = len(tiff.series)
    if series is not None and ome and len(ome.images) != n:
        there = _images_there(path, ome)
        if series not in there or len(there) != n:
            raise BadInputError(
                f"{path.name} has {len(ome.images)} images, of which files are "
                f"missing; number {series} cannot be found"
            )
        return there.index(series)
    if series is not None:
        if series >= n:
            raise BadInputError(
                f"{path.name} has {n} series, the last is {path.name}/{n - 1}; got "
                f"{series}"
            )
        return series
    own: Sequence[int] = range(n)
    if ome and len(ome.images) > 1:  # each file of a set has images of its own
        by_file = [i for i, names in enumerate(ome.images) if path.name in names]
        by_page = [i for i in own if tiff.series[i].keyframe.parent is tiff]
        own = by_file if len(ome.images) == n else by_page or own
    full = (i for i in own if not tiff.series[i].keyframe.is_reduced)
    return next(full, 0)


def _images_there(path: Path, ome: OmeMetadata) -> list[int]:
    """Return the images of a set that are series: some of their files are there."""
    return [
        i
        for i, names in enumerate(ome.images)
        if any((path.parent / name).is_file() for name in names)
    ]


def _number(path: Path, tiff: tifffile.TiffFile, ome: OmeMetadata, index: int) -> int:
    """Return which image of the metadata a series is; the first if that is unknown."""
    n, there = len(tiff.series), range(len(ome.images))
    known = there if len(there) == n else _images_there(path, ome)
    return known[index] if len(known) == n else 0


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


def _ome(path: Path, tiff: tifffile.TiffFile, number: int = 0) -> OmeMetadata | None:
    """Return the OME metadata of one of the file's images, if it has any."""
    text = tiff.ome_metadata
    return OmeMetadata.parse(text, path.name, number) if text else None


#: Meanings of pixel values that are one number each. Those of a palette are indices,
#: which are grey levels where a look-up table colors a grey image.
GREY = (
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.PALETTE,
)


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
    """Return the pixel size of the instrument, of ImageJ, or of the tags."""
    if sizes := instrument_sizes(tiff):
        return in_one_unit(sizes)
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
    with suppress(KeyError, TypeError, ValueError):  # not there, or no number
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
