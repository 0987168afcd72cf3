"""The metadata of an OME-TIFF: pixel size, names of channels, files that it needs."""

import math
import re
from typing import NamedTuple
from xml.etree import ElementTree

from napari_cosdd.errors import BadInputError

#: Metres.
METRES = {
    "m": 1.0,
    "cm": 1e-2,
    "mm": 1e-3,
    "µm": 1e-6,
    "um": 1e-6,
    "nm": 1e-9,
    "Å": 1e-10,
    "pm": 1e-12,
}


class OmeMetadata(NamedTuple):
    """What is known of the first image.

    Attributes
    ----------
    pixel_size : dict
        By axis, in `unit`.
    unit : str
        Of X.
    channels : tuple of str
        Names of those that have one.
    files : frozenset of str
        That pixels are said to be in; empty where they are in this file alone.
    """

    pixel_size: dict[str, float]
    unit: str
    channels: tuple[str, ...]
    files: frozenset[str]

    @classmethod
    def parse(cls, text: str, file_name: str) -> "OmeMetadata":
        """Read the XML of a file, of which little is believed.

        Raises
        ------
        BadInputError
            If it has a document type, which may hide names in entities, names files
            in other folders, or names files and is damaged.
        """
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise BadInputError(
                f"{file_name} has metadata with a document type; it is not read"
            )
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            if "FileName" in text:
                raise BadInputError(
                    f"{file_name} has damaged metadata ({error})"
                ) from error
            return cls({}, "um", (), frozenset())
        named = {
            node.attrib.get("FileName", file_name)
            for node in root.iter()
            if node.tag.endswith("UUID")  # whatever the namespace
        }
        for name in named:
            if re.search(r"[/\\]|^\.\.$|^[A-Za-z]:", name):
                raise BadInputError(
                    f"{file_name} says that pixels are in {name!r}, outside its "
                    "folder; they are not read"
                )
        pixels = next((n for n in root.iter() if n.tag.endswith("Pixels")), None)
        if pixels is None:
            return cls({}, "um", (), frozenset(named - {file_name}))
        names = [n.attrib.get("Name") for n in pixels if n.tag.endswith("Channel")]
        size, unit = _pixel_size(pixels.attrib)
        channels = tuple(name for name in names if name)
        return cls(size, unit, channels, frozenset(named - {file_name}))


def _pixel_size(attributes: dict[str, str]) -> tuple[dict[str, float], str]:
    """Return the size along each axis, all in the unit of the first that has one."""
    found: dict[str, float] = {}
    unit = ""
    for axis in "XYZ":
        own = attributes.get(f"PhysicalSize{axis}Unit", "µm")
        try:
            size = float(attributes[f"PhysicalSize{axis}"])
        except (KeyError, ValueError):
            continue
        if own in METRES and math.isfinite(size) and size > 0:
            unit = unit or own
            found[axis] = size if own == unit else size * METRES[own] / METRES[unit]
    return found, {"µm": "um", "": "um"}.get(unit, unit)
