"""TIFFs of instruments; their tags are written here as the instruments write them."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_cosdd.images.formats.any import read_image
from napari_cosdd.images.formats.instruments import instrument_sizes
from napari_cosdd.images.selection import part_of

FEI = 34682
ZEISS_SEM = 34118
ZEISS_LSM = 34412
#: A scan of 40 rows, below which 8 rows of text lie.
FEI_TEXT = """[Beam]\r
Beam=EBeam\r
Scan=EScan\r
[EScan]\r
PixelWidth=3.3724e-006\r
PixelHeight=3.4e-006\r
[Image]\r
ResolutionX=64\r
ResolutionY=40\r
"""
ZEISS_TEXT = """0\r
AP_IMAGE_PIXEL_SIZE\r
Image Pixel Size = 5.825 nm\r
"""
PIXELS = np.random.default_rng(0).integers(0, 255, (48, 64)).astype(np.uint8)


def test_a_scanning_electron_microscope_of_fei(tmp_path):
    path = tmp_path / "sem.tif"
    tifffile.imwrite(path, PIXELS, extratags=[(FEI, "s", 0, FEI_TEXT, True)])
    image = read_image(path)
    assert dict(image.pixel_size) == pytest.approx({"Y": 3.4, "X": 3.3724})
    assert image.unit == "um"
    assert "the last 8 of 48 rows are the microscope's data bar" in image.note
    assert "0:40,0:64" in image.note
    assert part_of(image, "0:40,0:64").image.data.shape == (40, 64)


def test_a_picture_without_data_bar_has_no_note(tmp_path):
    path = tmp_path / "sem.tif"
    tifffile.imwrite(path, PIXELS[:40], extratags=[(FEI, "s", 0, FEI_TEXT, True)])
    assert read_image(path).note == ""


def test_odd_metadata_do_not_keep_an_image_from_being_read(tmp_path):
    path = tmp_path / "sem.tif"
    odd = "Beam=3\r\nImage=7\r\n[EScan]\r\nPixelWidth=wide\r\n[IScan]\r\n"
    tifffile.imwrite(path, PIXELS, extratags=[(FEI, "s", 0, odd, True)])
    image = read_image(path)
    assert (dict(image.pixel_size), image.note) == ({}, "")


def test_a_scanning_electron_microscope_of_zeiss(tmp_path):
    path = tmp_path / "sem.tif"
    tifffile.imwrite(path, PIXELS, extratags=[(ZEISS_SEM, "s", 0, ZEISS_TEXT, True)])
    image = read_image(path)
    assert dict(image.pixel_size) == {"Y": 5.825, "X": 5.825}
    assert image.unit == "nm"


def test_a_laser_scanning_microscope_of_zeiss(tmp_path):
    info = np.zeros(1, np.dtype([(n, "<" + f) for n, f in tifffile.TIFF.CZ_LSMINFO]))
    info["MagicNumber"], info["StructureSize"] = 67127628, info.nbytes
    info["DimensionX"], info["DimensionY"], info["DimensionZ"] = 64, 48, 3
    info["DimensionChannels"] = info["DimensionTime"] = 1
    info["VoxelSizeX"] = info["VoxelSizeY"] = 1.1e-7
    info["VoxelSizeZ"] = 5e-7
    path = tmp_path / "cells.lsm"
    tags = [(ZEISS_LSM, 1, info.nbytes, info.tobytes(), True)]
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for plane in range(3):
            tiff.write(PIXELS + plane, extratags=[] if plane else tags, metadata=None)
    image = read_image(path)
    assert image.axes == "ZYX"
    assert dict(image.pixel_size) == pytest.approx({"Z": 0.5, "Y": 0.11, "X": 0.11})


@pytest.mark.parametrize(("calibrated", "size"), [(1, {"X": 0.16}), (0, {})])
def test_a_stack_of_metamorph(calibrated, size):
    stk = {
        "SpatialCalibration": calibrated,
        "XCalibration": 0.16,
        "CalibrationUnits": "um",
    }
    nothing = dict.fromkeys(("fei_metadata", "sem_metadata", "lsm_metadata"))
    tiff = SimpleNamespace(stk_metadata=stk, **nothing)
    assert instrument_sizes(tiff) == {a: (s, "um") for a, s in size.items()}
