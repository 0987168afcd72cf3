import shutil
import zipfile

import numpy as np
import pytest
import zarr

from napari_cosdd import api
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.formats import ome_zarr
from napari_cosdd.images.formats.any import read_image, stem, write_image
from napari_cosdd.images.formats.search import search
from napari_cosdd.images.image import Image


@pytest.fixture
def folder(noisy, tmp_path):
    both = np.stack([noisy, 2 * noisy]).astype(np.float32)
    image = Image(both, "CYX", pixel_size={"Y": 0.2, "X": 0.1}, channels=("a", "b"))
    write_image(tmp_path / "cells.zarr", image)
    return tmp_path / "cells.zarr"


def zipped(folder, name, inside=""):
    """Pack a zarr folder without compression, as RFC-9 of OME-Zarr says."""
    path = folder.parent / name
    with zipfile.ZipFile(path, "w") as file:
        for part in sorted(p for p in folder.rglob("*") if p.is_file()):
            file.write(part, f"{inside}{part.relative_to(folder)}")
    return path


@pytest.mark.parametrize(
    ("name", "inside"),
    [("a.ozx", ""), ("a.ome.zarr.zip", ""), ("a.zarr.zip", "cells.zarr/")],
)
def test_a_zipped_ome_zarr_is_read_where_it_lies(folder, name, inside):
    path = zipped(folder, name, inside)
    plain, packed = read_image(folder), read_image(path)
    assert stem(path) == packed.name == "a"
    assert packed.path == path
    assert (packed.axes, packed.channels) == ("CYX", ("a", "b"))
    assert packed.pixel_size == plain.pixel_size
    assert not isinstance(packed.data, np.ndarray)  # read on demand
    np.testing.assert_array_equal(packed.data[1, 5:20, 7:9], plain.data[1, 5:20, 7:9])


def test_a_zipped_array_is_found_in_a_folder_and_analyzed(noisy, tmp_path):
    (tmp_path / "in").mkdir()
    array = zarr.create_group(tmp_path / "raw").create_array("image", data=noisy)
    path = zipped(tmp_path / "raw", "in/plain.zarr.zip")
    (tmp_path / "in" / "paper.zip").write_bytes(b"no image")
    assert search(tmp_path / "in").paths == [path]
    found, expected = api.analyze(path, axes="YX"), api.analyze(np.asarray(array))
    np.testing.assert_array_equal(
        found.correlation.along_x, expected.correlation.along_x
    )


def test_what_the_finder_of_macos_adds_to_a_zip_is_no_image(folder):
    path = zipped(folder, "a.zarr.zip", "cells.zarr/")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("__MACOSX/cells.zarr/._zarr.json", b"no metadata")
    assert read_image(path).axes == "CYX"


def test_several_images_in_a_zip_are_refused(noisy, tmp_path):
    group = zarr.create_group(tmp_path / "raw")
    for name in "ab":
        group.create_array(name, data=noisy)
    with pytest.raises(BadInputError, match="several images, or none: unpack it"):
        read_image(zipped(tmp_path / "raw", "two.zarr.zip"))


def test_damaged_and_hostile_zips_are_refused(folder, tmp_path, monkeypatch):
    path = zipped(folder, "a.ozx")
    (tmp_path / "short.ozx").write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInputError, match="cannot be read as an image"):
        read_image(tmp_path / "short.ozx")
    empty = tmp_path / "empty.zarr.zip"
    with zipfile.ZipFile(empty, "w"):
        pass
    with pytest.raises(BadInputError):
        read_image(empty)
    monkeypatch.setattr(ome_zarr, "LARGEST_CHUNK", 1000)
    with pytest.raises(BadInputError, match="holds files of more than"):
        read_image(path)


def test_a_training_learns_from_a_zip(folder):
    path = zipped(folder, "a.ozx")
    shutil.rmtree(folder)
    model = api.fit(path, channel=0, max_steps=2, time_limit=0.1, device="cpu")
    assert model.trained_on.names == ("a",)
