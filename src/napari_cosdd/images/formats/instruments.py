"""What microscopes write into their TIFFs beside the pixels: pixel size, data bar."""

from collections.abc import Mapping
from typing import Any

import tifffile

#: Pixel size by axis, with its unit; a size that is no number is not known.
Sizes = Mapping[str, tuple[Any, str]]


def instrument_sizes(tiff: tifffile.TiffFile) -> dict[str, tuple[float, str]]:
    """Return the pixel size that an instrument wrote, by axis, with its unit."""
    known: dict[str, tuple[float, str]] = {}
    for read in (_fei, _zeiss_sem, _zeiss_lsm, _metamorph):
        for axis, (size, unit) in read(tiff).items():
            if isinstance(size, (int, float)):
                # Metres are written as micrometres, which are easier to read.
                known[axis] = (1e6 * size, "um") if unit == "m" else (size, unit)
    return known


def data_bar(tiff: tifffile.TiffFile) -> str:
    """Return a note on rows of text below the image of a FEI microscope; "": none."""
    image = _section(tiff.fei_metadata, "Image")
    rows, columns = image.get("ResolutionY"), image.get("ResolutionX")
    page = tiff.pages.first
    height, width = page.imagelength, page.imagewidth
    if not isinstance(rows, int) or columns != width or not 0 < rows < height:
        return ""
    return (
        f"the last {height - rows} of {height} rows are the microscope's data bar: "
        f"leave them out, with the region 0:{rows},0:{width} (y, x)"
    )


def _fei(tiff: tifffile.TiffFile) -> Sizes:
    """Return that of FEI and Thermo Fisher, of the beam that made the image."""
    beam = str(_section(tiff.fei_metadata, "Beam").get("Scan", ""))
    sections = (_section(tiff.fei_metadata, name) for name in (beam, *SCANS))
    scan: Mapping[str, Any] = next(filter(None, sections), {})
    return {"Y": (scan.get("PixelHeight"), "m"), "X": (scan.get("PixelWidth"), "m")}


#: Sections of FEI's metadata on the scan.
SCANS = ("Scan", "EScan", "IScan")


def _section(metadata: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """Return a section of FEI's metadata; empty if it is none."""
    found = (metadata or {}).get(name)
    return found if isinstance(found, Mapping) else {}


def _zeiss_sem(tiff: tifffile.TiffFile) -> Sizes:
    """Return that of Zeiss' electron microscopes: (title, size, unit)."""
    metadata = tiff.sem_metadata or {}
    for key in ("ap_image_pixel_size", "ap_pixel_size"):
        match metadata.get(key):
            case (_, size, unit):
                return {"Y": (size, str(unit)), "X": (size, str(unit))}
    return {}


def _zeiss_lsm(tiff: tifffile.TiffFile) -> Sizes:
    """Return that of Zeiss' laser scanning microscopes, in metres."""
    metadata = tiff.lsm_metadata or {}
    return {axis: (metadata.get(f"VoxelSize{axis}"), "m") for axis in "ZYX"}


def _metamorph(tiff: tifffile.TiffFile) -> Sizes:
    """Return that of MetaMorph's stacks, if they are calibrated."""
    metadata = tiff.stk_metadata or {}
    if metadata.get("SpatialCalibration") == 0:
        return {}
    unit = str(metadata.get("CalibrationUnits", ""))
    return {axis: (metadata.get(f"{axis}Calibration"), unit) for axis in "YX"}
