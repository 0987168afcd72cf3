"""Units of length and time: our names, and what OME-XML and OME-Zarr call them."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple


class Length(NamedTuple):
    """A unit of length.

    Attributes
    ----------
    metres : float
        Length of one unit, metres.
    ome, zarr : str
        Names in OME-XML and OME-Zarr.
    """

    metres: float
    ome: str
    zarr: str


#: Units of length by our names.
LENGTHS = {
    "m": Length(1.0, "m", "meter"),
    "cm": Length(1e-2, "cm", "centimeter"),
    "mm": Length(1e-3, "mm", "millimeter"),
    "um": Length(1e-6, "µm", "micrometer"),
    "nm": Length(1e-9, "nm", "nanometer"),
    "angstrom": Length(1e-10, "Å", "angstrom"),
    "pm": Length(1e-12, "pm", "picometer"),
}
#: Our name of a unit, by other spellings in files: such as with the Greek letter mu.
SPELLINGS = {
    **{name: unit for unit, names in LENGTHS.items() for name in names[1:]},
    **dict.fromkeys(("micron", "microns", "\N{GREEK SMALL LETTER MU}m"), "um"),
    "\N{ANGSTROM SIGN}": "angstrom",
}


#: Seconds in a unit of time, by its names in OME-XML, OME-Zarr, ImageJ and napari.
TIMES = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond"), 1e-3),
    **dict.fromkeys(("µs", "us", "microsecond"), 1e-6),
    **dict.fromkeys(("min", "minute"), 60.0),
    **dict.fromkeys(("h", "hour"), 3600.0),
}


def unit_named(name: str) -> str:
    """Return our name of a unit; an unknown unit is returned as it is.

    ImageJ escapes letters beyond ASCII, such as a backslash and "u00B5".
    """
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), name)
    return SPELLINGS.get(plain, plain)


def ome_name(unit: str) -> str:
    """Return what OME-XML calls a unit."""
    return LENGTHS[unit].ome if unit in LENGTHS else unit


def zarr_name(unit: str) -> str:
    """Return what OME-Zarr calls a unit."""
    return LENGTHS[unit].zarr if unit in LENGTHS else unit


def in_seconds(time: float, unit: str) -> float | None:
    """Return a time in seconds; None if its unit is unknown or it is not positive."""
    seconds = time * TIMES.get(unit, math.nan)
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def in_one_unit(
    sizes: Mapping[str, tuple[float, str]],
) -> tuple[dict[str, float], str]:
    """Return sizes by axis in the unit of the first, and that unit.

    Left out are sizes of unknown unit, those that are not finite or not positive, and
    those of a metre or more, as some files have for patterns of diffraction.

    Parameters
    ----------
    sizes : mapping
        Size and name of its unit, by axis.
    """
    converted: dict[str, float] = {}
    first = ""
    for axis, (size, name) in sizes.items():
        unit = unit_named(name)
        metres = size * LENGTHS[unit].metres if unit in LENGTHS else math.nan
        if not 0 < metres < 1:
            continue
        first = first or unit
        ratio = 1.0 if unit == first else LENGTHS[unit].metres / LENGTHS[first].metres
        converted[axis] = size * ratio
    return converted, first or "um"
