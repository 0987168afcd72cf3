"""Files of electron microscopes; the MRC file is written here by its specification."""

import struct
import sys

import numpy as np
import pytest

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.formats.any import read_image
from napari_cosdd.images.formats.em import IMOD_STAMP
from napari_cosdd.images.formats.search import search

# RosettaSciIO leaves files to Python to be closed.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def write_mrc(path, data, angstrom):
    """Write (z, y, x) of whole numbers as MRC2014."""
    n = data.shape[::-1]
    size = [k * angstrom for k in n]
    header = struct.pack("<10i", *n, 1, 0, 0, 0, *n) + struct.pack("<3f", *size)
    header += struct.pack("<3f3i", 90, 90, 90, 1, 2, 3)
    header = header.ljust(208, b"\0") + b"MAP " + bytes([0x44, 0x44, 0, 0])
    path.write_bytes(header.ljust(1024, b"\0") + data.astype("<i2").tobytes())


def test_a_stack_of_an_electron_microscope_is_read(tmp_path):
    pytest.importorskip("rsciio")
    data = np.random.default_rng(0).integers(-99, 999, (3, 20, 30)).astype(np.int16)
    write_mrc(tmp_path / "a.mrc", data, 2.5)
    image = read_image(tmp_path / "a.mrc")
    np.testing.assert_array_equal(image.data, data)
    assert (image.axes, image.axes_from, image.unit) == ("ZYX", "file", "nm")
    assert dict(image.pixel_size) == pytest.approx({"Y": 0.25, "X": 0.25})
    assert search(tmp_path).paths == [tmp_path / "a.mrc"]
    np.testing.assert_array_equal(read_image(tmp_path / "a.mrc" / "0").data, data)
    with pytest.raises(BadInputError, match=r"has 1 images, the last is a.mrc/0"):
        read_image(tmp_path / "a.mrc" / "4")


def write_ser(path, planes, nm):
    """Write (n, y, x) of uint16 as a series of TIA, version 0x0210."""
    n, height, width = planes.shape
    time = struct.pack("<IddIII", n, 0.0, 1.0, 0, 0, 0)  # without names
    offsets = 30 + len(time)
    step = struct.pack("<ddI", 0.0, nm * 1e-9, 0)
    size = struct.pack("<HII", 2, width, height)  # 2: uint16
    tag = struct.pack("<HHI", 0x4152, 0, 0)
    frames = [2 * step + size + one.astype("<u2").tobytes() + tag for one in planes]
    at = offsets + 8 * n + np.cumsum([0, *map(len, frames[:-1])])
    ends = at + len(frames[0]) - len(tag)
    header = struct.pack(
        "<HHHIIIII", 0x4949, 0x197, 0x210, 0x4122, 0x4152, n, n, offsets
    )
    table = struct.pack(f"<{2 * n}I", *at, *ends)
    path.write_bytes(header + struct.pack("<I", 1) + time + table + b"".join(frames))


def test_a_series_of_tia_is_read(tmp_path):
    pytest.importorskip("rsciio")
    planes = np.random.default_rng(0).integers(0, 999, (3, 20, 30)).astype(np.uint16)
    write_ser(tmp_path / "a_1.ser", planes, 2.5)
    image = read_image(tmp_path / "a_1.ser")
    np.testing.assert_array_equal(image.data, planes[:, ::-1])  # rows from below
    assert (image.axes, image.unit) == ("TYX", "nm")
    assert dict(image.pixel_size) == pytest.approx({"Y": 2.5, "X": 2.5})


@pytest.mark.parametrize("suffix", [".mrc", ".dm4", ".ser", ".emd"])
def test_what_is_no_such_file_is_refused(tmp_path, suffix):
    pytest.importorskip("rsciio")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(BadInputError, match=rf"a\{suffix}"):
        read_image(path)


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rsciio", None)
    monkeypatch.delitem(sys.modules, "rsciio.mrc", raising=False)
    (tmp_path / "a.mrc").write_bytes(b"nothing")
    with pytest.raises(BadInputError, match=r"needs RosettaSciIO.*napari-cosdd\[em\]"):
        read_image(tmp_path / "a.mrc")


@pytest.mark.parametrize("imod", [False, True])
def test_bytes_of_mrc_have_signs_unless_imod_wrote_them(tmp_path, imod):
    pytest.importorskip("rsciio")
    data = np.random.default_rng(0).integers(-60, 60, (2, 20, 30)).astype(np.int8)
    path = tmp_path / "a.mrc"
    write_mrc(path, data, 2.5)
    content = bytearray(path.read_bytes()[:1024] + data.tobytes())
    content[12:16] = struct.pack("<i", 0)
    if imod:
        content[152:160] = struct.pack("<2i", IMOD_STAMP, 0)
    path.write_bytes(content)
    image = read_image(path)
    expected = data.view(np.uint8) if imod else data
    assert image.data.dtype == expected.dtype
    np.testing.assert_array_equal(image.data, expected)
