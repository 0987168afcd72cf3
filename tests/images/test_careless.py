"""Files as they are left by copies that ended early, links, and other programs."""

import struct

import numpy as np
import pytest
import tifffile
import zarr

from napari_cosdd import api
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import guess_axes
from napari_cosdd.images.formats.search import search
from napari_cosdd.images.selection import part_of


@pytest.fixture
def planes():
    return np.random.default_rng(0).integers(90, 110, (5, 48, 64)).astype("<u2")


def libtiff(planes) -> bytes:
    """A TIFF as libtiff writes it: the entry of each plane after its pixels."""
    _, height, width = planes.shape
    content, link = bytearray(b"II*\0" + bytes(4)), 4
    for plane in planes:
        pixels = len(content)
        content += plane.tobytes()
        content[link : link + 4] = struct.pack("<I", len(content))
        tags = [
            *((256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1)),
            *((262, 3, 1), (273, 4, pixels), (277, 3, 1), (278, 4, height)),
            (279, 4, plane.nbytes),
        ]
        content += struct.pack("<H", len(tags))
        for code, kind, value in tags:
            content += struct.pack("<HHII", code, kind, 1, value)
        link = len(content)
        content += bytes(4)
    return bytes(content)


def test_a_list_of_planes_that_leads_beyond_the_file_is_told(planes, tmp_path):
    whole = libtiff(planes)
    (tmp_path / "whole.tif").write_bytes(whole)
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) * 3 // 4])
    np.testing.assert_array_equal(api.one_image(tmp_path / "whole.tif").data, planes)
    with pytest.raises(BadInputError, match="after 3 planes its list"):
        api.one_image(tmp_path / "cut.tif")
    rest = api.one_image(tmp_path / "cut.tif", salvage=True)
    np.testing.assert_array_equal(rest.data, planes[:3])
    assert "3 time points are used" in rest.note


def test_a_plane_that_cannot_be_decoded_is_named_and_left_out(planes, tmp_path):
    path = tmp_path / "packed.tif"
    tifffile.imwrite(path, planes, compression="zlib")
    with tifffile.TiffFile(path) as file:
        start = file.pages[3].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="plane 3 of 5 cannot be decoded"):
        api.one_image(path)
    rest = api.one_image(path, salvage=True)
    np.testing.assert_array_equal(rest.data, planes[[0, 1, 2, 4]])
    assert "plane 3 of 5 cannot be decoded" in rest.note


@pytest.mark.parametrize("axes", [None, "TYXC"])
def test_a_channel_axis_of_length_one_at_the_end_is_whole(planes, tmp_path, axes):
    tifffile.imwrite(tmp_path / "a.tif", planes[..., None])
    image = api.one_image(tmp_path / "a.tif", axes)
    assert (image.axes, image.data.shape) == ("TYXC", (5, 48, 64, 1))


def test_short_axes_at_the_end_are_channels():
    guesses = {(64, 80, 2): "YXC", (9, 64, 80, 1): "TYXC", (4, 4, 4): "TYX"}
    assert {shape: guess_axes(shape) for shape in guesses} == guesses
    with pytest.raises(BadInputError, match="looks like a color"):
        api.one_image(np.zeros((9, 64, 80, 3)))


@pytest.mark.parametrize("plate", [None, 3, {"wells": [{"rowIndex": 0}]}])
def test_plates_without_paths_are_refused_in_words(tmp_path, plate):
    group = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=2)
    group.attrs["plate"] = plate
    with pytest.raises(BadInputError, match="expected wells with their paths"):
        api.one_image(tmp_path / "p.zarr")


def test_named_series_of_bioformats2raw_are_found(planes, tmp_path):
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    group.create_group("OME").attrs["series"] = ["cells"]
    image = group.create_group("cells")
    image.create_array("0", data=planes)
    axes = [{"name": a, "type": "space"} for a in "zyx"]
    image.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
    np.testing.assert_array_equal(api.one_image(tmp_path / "b.zarr").data, planes)


def test_links_do_not_give_an_image_twice(planes, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", planes)
    (tmp_path / "sub").mkdir()
    tifffile.imwrite(tmp_path / "sub" / "b.tif", planes)
    (tmp_path / "link.tif").symlink_to(tmp_path / "a.tif")
    (tmp_path / "sub" / "up").symlink_to(tmp_path, target_is_directory=True)
    found = search(tmp_path, recursive=True)
    assert [p.name for p in found.paths] == ["a.tif", "b.tif"]
    assert "up was searched already" in found.notes[0]


@pytest.mark.parametrize("kind", [bool, float])
def test_masks_may_be_boolean_or_have_holes(planes, tmp_path, kind):
    mask = np.zeros((48, 64), kind)
    mask[8:20, 10:30] = 1
    if kind is float:
        mask[:4] = np.nan
    np.save(tmp_path / "mask.npy", mask)
    image = api.one_image(planes, "TYX")
    box = (slice(0, 5), slice(8, 20), slice(10, 30))
    assert part_of(image, tmp_path / "mask.npy").box == box
    with pytest.raises(BadInputError, match="there is no file"):
        part_of(image, tmp_path / "other.npy")
    with pytest.raises(BadInputError, match="slices of step 1"):
        part_of(image, (slice(0, 8, 2), slice(0, 8)))
