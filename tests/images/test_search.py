"""Sets of files, plates, series and folders of everything."""

import os
import shutil
import uuid

import numpy as np
import pytest
import tifffile
import zarr

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.formats.any import read_image, stem
from napari_cosdd.images.formats.ome_zarr_writer import write_zarr
from napari_cosdd.images.formats.search import search
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import as_images

XMLNS = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def pixels_xml(i, inside, **sizes):
    size = {"C": 1, "Z": 1, "T": 1} | sizes
    said = " ".join(f'Size{a}="{n}"' for a, n in size.items())
    return (
        f'<Image ID="Image:{i}"><Pixels ID="Pixels:{i}" DimensionOrder="XYCZT" '
        f'Type="uint16" SizeX="24" SizeY="16" {said}>'
        f"{inside}</Pixels></Image>"
    )


def plane_xml(name, i, axis="T", ifd=0):
    at = {"C": 0, "Z": 0, "T": 0} | {axis: i}
    first = " ".join(f'First{a}="{n}"' for a, n in at.items())
    return (
        f'<TiffData IFD="{ifd}" {first} PlaneCount="1"><UUID FileName="{name}">'
        f"urn:uuid:{uuid.UUID(int=i + 1)}</UUID></TiffData>"
    )


def write(path, plane, body, own):
    text = f'<?xml version="1.0"?><OME {XMLNS} UUID="urn:uuid:{own}">{body}</OME>'
    tifffile.imwrite(path, plane, description=text, metadata=None)


@pytest.fixture
def planes():
    return np.random.default_rng(0).integers(0, 999, (3, 16, 24), np.uint16)


def file_set(folder, planes, axis):
    """Write one OME image, a file for each of its planes."""
    names = [f"a_{axis}{i}.ome.tif" for i in range(len(planes))]
    inside = "".join(plane_xml(name, i, axis) for i, name in enumerate(names))
    body = pixels_xml(0, inside, **{axis: len(planes)})
    for i, (name, plane) in enumerate(zip(names, planes, strict=True)):
        write(folder / name, plane, body, uuid.UUID(int=i + 1))
    return [folder / name for name in names]


def positions(folder, planes):
    """Write an OME image for each position into a file of its own."""
    names = [f"pos{i}.ome.tif" for i in range(len(planes))]
    body = "".join(
        pixels_xml(i, plane_xml(name, 0).replace(str(uuid.UUID(int=1)), own(i)))
        for i, name in enumerate(names)
    )
    for i, (name, plane) in enumerate(zip(names, planes, strict=True)):
        write(folder / name, plane, body, own(i))
    return [folder / name for name in names]


def own(i):
    return str(uuid.UUID(int=i + 1))


@pytest.mark.parametrize("axis", ["T", "C", "Z"])
def test_a_set_is_one_image_and_given_once(tmp_path, planes, axis):
    files = file_set(tmp_path, planes, axis)
    assert search(tmp_path).paths == [files[0]]
    assert search(*files).paths == [files[0]]
    assert search(files[2]).paths == [files[2]]
    (image,) = as_images(tmp_path)
    assert image.axes == f"{axis}YX"
    np.testing.assert_array_equal(image.data, planes)


@pytest.mark.parametrize("axis", ["T", "C", "Z"])
def test_missing_files_of_a_set_are_named_and_never_zeros(tmp_path, planes, axis):
    files = file_set(tmp_path, planes, axis)
    files[1].unlink()
    with pytest.raises(BadInputError, match=f"1 files .* missing .a_{axis}1.ome.tif"):
        read_image(files[0])
    image = read_image(files[0], salvage=True)
    np.testing.assert_array_equal(image.data, planes[[0, 2]])
    assert "a_" in image.note


def test_each_position_is_an_image_of_its_own(tmp_path, planes):
    files = positions(tmp_path, planes)
    assert search(tmp_path).paths == files
    images = as_images(tmp_path)
    for image, plane in zip(images, planes, strict=True):
        np.testing.assert_array_equal(np.squeeze(image.data), plane)
        assert not image.note
    files[0].unlink()  # the other positions are whole
    np.testing.assert_array_equal(np.squeeze(read_image(files[1]).data), planes[1])


def test_positions_in_one_file_are_all_found(tmp_path, planes):
    path = tmp_path / "p.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for plane in planes:
            writer.write(plane, metadata={"axes": "YX"})
    found = search(path).paths
    assert found == [path / "0", path / "1", path / "2"]
    assert [stem(p) for p in found] == ["p-0", "p-1", "p-2"]
    for one, plane in zip(found, planes, strict=True):
        np.testing.assert_array_equal(read_image(one).data, plane)
    np.testing.assert_array_equal(as_images(path / "2")[0].data, planes[2])
    with pytest.raises(BadInputError, match=r"has 3 series, the last is p.ome.tif/2"):
        read_image(path / "3")


def plate(folder, planes, version):
    kind = 2 if version == "0.4" else 3
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": "B/2"}]
    parts = {
        "": {"plate": {"wells": wells}},
        "A/1": {"well": {"images": [{"path": "0"}, {"path": "1"}]}},
        "B/2": {"well": {"images": [{"path": "0"}]}},
    }
    for path, said in parts.items():
        group = zarr.open_group(folder / path, mode="a", zarr_format=kind)
        group.attrs.update(said if kind == 2 else {"ome": {"version": version, **said}})
    for path, plane in zip(("A/1/0", "A/1/1", "B/2/0"), planes, strict=True):
        write_zarr(folder / path, Image(plane, "YX"), {})


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_all_fields_of_a_plate_are_found(tmp_path, planes, version):
    path = tmp_path / "plate.zarr"
    plate(path, planes, version)
    assert [stem(p) for p in search(path).paths] == [
        "plate-A-1-0",
        "plate-A-1-1",
        "plate-B-2-0",
    ]
    assert len(search(path / "A/1").paths) == 2
    images = as_images(tmp_path)
    for image, plane in zip(images, planes, strict=True):
        np.testing.assert_array_equal(np.asarray(image.data), plane)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_is_there_of_a_plate_is_salvaged(tmp_path, planes, version):
    path = tmp_path / "plate.zarr"
    plate(path, planes, version)
    shutil.rmtree(path / "A/1/1")
    with pytest.raises(BadInputError, match=r"lists A/1/1, .*the other 2 \(--salv"):
        search(path)
    shutil.rmtree(path / "B")
    with pytest.raises(BadInputError, match=r"lists A/1/1, B/2, which is no image"):
        as_images(path)
    (image,) = as_images(path, salvage=True)
    np.testing.assert_array_equal(np.asarray(image.data), planes[0])
    assert "plate.zarr lacks A/1/1, B/2; left out" in image.note
    shutil.rmtree(path / "A")
    with pytest.raises(BadInputError, match=r"lists A/1, B/2, .* copy it again$"):
        as_images(path, salvage=True)


def test_a_plate_that_leads_outside_is_refused(tmp_path, planes):
    write_zarr(tmp_path / "other.zarr", Image(planes[0], "YX"), {})
    for well in ("../other.zarr", "C/9"):
        group = zarr.open_group(tmp_path / "p.zarr", mode="w")
        group.attrs["plate"] = {"wells": [{"path": well}]}
        with pytest.raises(BadInputError, match=r"outside itself|no image there"):
            search(tmp_path / "p.zarr")


@pytest.mark.parametrize(
    ("names", "axes", "origin"),
    [
        (["time", "y", "x"], "TYX", "file"),
        (["C", "Y", "X"], "CYX", "file"),
        (["channel", "row", "col"], "CYX", "file"),
        (["angle", "y", "x"], "TYX", "guess"),
    ],
)
@pytest.mark.parametrize("kind", ["ome", "v2", "v3"])
def test_longer_names_of_axes(tmp_path, planes, names, axes, origin, kind):
    path = tmp_path / "a.zarr"
    if kind == "ome":
        group = zarr.open_group(path, mode="w")
        group.create_array("0", data=planes)
        scale = {
            "axes": [{"name": name} for name in names],
            "datasets": [{"path": "0"}],
        }
        group.attrs["ome"] = {"version": "0.5", "multiscales": [scale]}
    elif kind == "v3":
        zarr.create_array(path, data=planes, dimension_names=names)
    else:
        array = zarr.create_array(path, data=planes, zarr_format=2)
        array.attrs["_ARRAY_DIMENSIONS"] = names
    image = read_image(path)
    assert (image.axes, image.axes_from) == (axes, origin)
    assert read_image(path, "ZYX").axes == "ZYX"


def test_coordinate_systems_of_version_0_6(tmp_path, planes):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", data=planes)
    steps = {"type": "scale", "scale": [2.0, 0.5, 0.5]}
    scale = {
        "coordinateSystems": [
            {
                "name": "physical",
                "axes": [
                    {"name": "z", "type": "space", "unit": "micrometer"},
                    {"name": "y", "type": "space", "unit": "micrometer"},
                    {"name": "x", "type": "space", "unit": "micrometer"},
                ],
            }
        ],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {"type": "sequence", "transformations": [steps]}
                ],
            }
        ],
    }
    group.attrs["ome"] = {"version": "0.6", "multiscales": [scale]}
    image = read_image(tmp_path / "a.zarr")
    assert (image.axes, image.axes_from) == ("ZYX", "file")
    assert dict(image.pixel_size) == {"Z": 2.0, "Y": 0.5, "X": 0.5}


def test_one_array_in_a_group_is_opened_several_are_listed(tmp_path, planes):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("data", data=planes)
    np.testing.assert_array_equal(np.asarray(as_images(tmp_path)[0].data), planes)
    group.create_array("mask", data=planes)
    with pytest.raises(BadInputError, match=r"choose a.zarr/data, a.zarr/mask"):
        search(tmp_path / "a.zarr")


def test_what_cannot_be_an_image_in_a_folder_is_named_and_passed_over(tmp_path, planes):
    tifffile.imwrite(tmp_path / "good.tif", planes[0])
    (tmp_path / "gone.tif").symlink_to(tmp_path / "nowhere.tif")
    (tmp_path / "folder.tif").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.tif")
    found = search(tmp_path)
    assert found.paths == [tmp_path / "good.tif"]
    said = "; ".join(found.notes)
    for words in ("gone.tif is a broken link", "folder.tif is a folder", "a pipe,"):
        assert words in said
    assert "broken link" in as_images(tmp_path)[0].note
    for name in ("gone.tif", "pipe.tif"):
        with pytest.raises(BadInputError, match=r"broken link|no regular file"):
            search(tmp_path / name)


def test_folders_in_folders_are_searched_on_request(tmp_path, planes):
    (tmp_path / "day1" / "well").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "a.tif", planes[0])
    tifffile.imwrite(tmp_path / "day1" / "b.tif", planes[1])
    write_zarr(tmp_path / "day1" / "well" / "c.zarr", Image(planes[2], "YX"), {})
    assert [p.name for p in search(tmp_path).paths] == ["a.tif"]
    deep = [p.name for p in search(tmp_path, recursive=True).paths]
    assert deep == ["a.tif", "b.tif", "c.zarr"]


def test_a_file_that_was_renamed_still_knows_itself(tmp_path, planes):
    inside = "".join(plane_xml("before.ome.tif", 0, ifd=i) for i in range(1))
    write(tmp_path / "after.ome.tif", planes[0], pixels_xml(0, inside), own(0))
    image = read_image(tmp_path / "after.ome.tif")
    np.testing.assert_array_equal(np.squeeze(image.data), planes[0])
    assert search(tmp_path).paths == [tmp_path / "after.ome.tif"]


def test_the_numbers_of_images_stay_if_files_of_others_are_missing(tmp_path, planes):
    """Image 0 is in a file of its own that is gone; 1 and 2 are in this one."""
    body = pixels_xml(0, plane_xml("gone.ome.tif", 0))
    here = str(uuid.UUID(int=9))
    for i, ifd in ((1, 0), (2, 1)):
        plane = plane_xml("b.ome.tif", 0, ifd=ifd).replace(own(0), here)
        body += pixels_xml(i, plane)
    text = f'<?xml version="1.0"?><OME {XMLNS} UUID="urn:uuid:{here}">{body}</OME>'
    path = tmp_path / "b.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        known = {"metadata": None, "contiguous": False}
        writer.write(planes[1], description=text, **known)
        writer.write(planes[2], **known)
    found = search(path).paths
    assert found == [path / "1", path / "2"]
    for one, plane in zip(found, planes[1:], strict=True):
        np.testing.assert_array_equal(np.squeeze(read_image(one).data), plane)
    with pytest.raises(BadInputError, match="number 0 cannot be found"):
        read_image(path / "0")
