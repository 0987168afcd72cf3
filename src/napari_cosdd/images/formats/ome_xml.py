"""The metadata of an OME-TIFF: pixel size, channel names, other files of pixels."""

import re
from contextlib import suppress
from typing import NamedTuple
from xml.etree import ElementTree

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.image import RESULT_KEYS
from napari_cosdd.images.units import in_one_unit, in_seconds


class OmeMetadata(NamedTuple):
    """Metadata of an image of a file or set.

    Attributes
    ----------
    pixel_size : dict
        Size by axis, in `unit`.
    unit : str
        Unit of the pixel size along X.
    channels : tuple of str
        Names of the channels that have one.
    interval : float or None
        Seconds between time points.
    images : tuple of frozenset of str
        Names of the files that hold the pixels of each image, this one or others.
    is_result : bool
        Whether this package wrote the image as a result of a denoising.
    """

    pixel_size: dict[str, float]
    unit: str
    channels: tuple[str, ...]
    interval: float | None
    images: tuple[frozenset[str], ...]
    is_result: bool = False

    @property
    def files(self) -> frozenset[str]:
        """Names of all files that hold pixels."""
        return frozenset().union(*self.images)

    @classmethod
    def parse(cls, text: str, file_name: str, number: int = 0) -> "OmeMetadata":
        """Parse the XML of an untrusted file; return the metadata of one image.

        Raises
        ------
        BadInputError
            If the XML has a document type (entities could hide file names), names
            files in other folders, or is damaged and names files.
        """
        root = _root(text, file_name)
        if root is None:
            return cls({}, "um", (), None, ())
        images = _images(root, file_name)
        nodes = [n for n in root.iter() if n.tag.endswith("}Image") or n.tag == "Image"]
        image = nodes[number] if number < len(nodes) else root
        pixels = next((n for n in image.iter() if n.tag.endswith("Pixels")), None)
        if pixels is None:
            return cls({}, "um", (), None, images)
        names = [n.attrib.get("Name") for n in pixels if n.tag.endswith("Channel")]
        channels = tuple(name for name in names if name)
        interval = _interval(pixels.attrib)
        is_result = all(f'"{key}": ' in _description(image) for key in RESULT_KEYS)
        return cls(*_pixel_size(pixels.attrib), channels, interval, images, is_result)


def description_of(text: str, file_name: str) -> str:
    """Return the description of the first image of OME-XML; empty if it has none.

    Raises
    ------
    BadInputError
        If the XML has a document type, or is damaged and names files.
    """
    root = _root(text, file_name)
    return "" if root is None else _description(root)


def _description(root: ElementTree.Element) -> str:
    """Return the description of the first image, where results have provenance."""
    nodes = (n.text for n in root.iter() if n.tag.endswith("Description"))
    return next(nodes, None) or ""


def _root(text: str, file_name: str) -> ElementTree.Element | None:
    """Return the XML tree; None if it is damaged but names no files."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadInputError(
            f"{file_name} has OME metadata with a document type definition, "
            "which is not read for safety; save the file without it"
        )
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        if "FileName" in text:
            raise BadInputError(
                f"{file_name} has damaged metadata ({error})"
            ) from error
        return None


def _images(root: ElementTree.Element, file_name: str) -> tuple[frozenset[str], ...]:
    """Return the names of the files of each image; refuse files in other folders."""
    images, own = [], root.attrib.get("UUID")
    for pixels in (n for n in root.iter() if n.tag.endswith("Pixels")):
        names = {
            # a file that was renamed still knows its own number
            file_name
            if own and node.text == own
            else node.attrib.get("FileName", file_name)
            for node in pixels.iter()
            if node.tag.endswith("UUID")  # whatever the namespace
        }
        for name in names:
            if re.search(r"[/\\]|^\.\.$|^[A-Za-z]:", name):
                raise BadInputError(
                    f"{file_name} says that pixels are in {name!r}, outside its "
                    "folder; they are not read"
                )
        images.append(frozenset(names or {file_name}))
    return tuple(images)


def _pixel_size(attributes: dict[str, str]) -> tuple[dict[str, float], str]:
    """Return the size along each axis, in the unit of the first known one."""
    sizes: dict[str, tuple[float, str]] = {}
    for axis in "XYZ":
        with suppress(KeyError, ValueError):
            size = float(attributes[f"PhysicalSize{axis}"])
            sizes[axis] = size, attributes.get(f"PhysicalSize{axis}Unit", "µm")
    return in_one_unit(sizes)


def _interval(attributes: dict[str, str]) -> float | None:
    """Return the seconds between time points."""
    try:
        time = float(attributes["TimeIncrement"])
    except (KeyError, ValueError):
        return None
    return in_seconds(time, attributes.get("TimeIncrementUnit", "s"))
