import numpy as np
import pytest
import tifffile
import zarr

from napari_cosdd.data.io import (
    Image,
    as_type,
    atomic,
    check_output,
    find_images,
    read_image,
    write_image,
)
from napari_cosdd.errors import BadInputError

SIZES = {"X": 0.11, "Y": 0.22, "Z": 0.5}


@pytest.fixture
def data():
    return np.random.default_rng(0).integers(0, 999, (3, 2, 20, 30)).astype(np.uint16)


@pytest.mark.parametrize("suffix", ["ome.tif", "tif", "zarr"])
def test_axes_and_pixel_size_survive_the_round_trip(tmp_path, data, suffix):
    path = tmp_path / f"a.{suffix}"
    write_image(path, Image(data, "ZCYX", "a", pixel_size=SIZES), {"seed": 3})
    back = read_image(path)
    np.testing.assert_array_equal(np.asarray(back.data), data)
    assert (back.axes, back.axes_from) == ("ZCYX", "file")
    assert dict(back.pixel_size) == SIZES
    assert back.unit in {"um", "µm"}


def test_npy_is_guessed_and_says_so(tmp_path, data):
    write_image(tmp_path / "a.npy", Image(data[0], "TYX"))
    back = read_image(tmp_path / "a.npy")
    assert (back.axes, back.axes_from) == ("TYX", "guess")
    np.testing.assert_array_equal(np.asarray(back.data), data[0])


def test_imagej_pixel_size_is_in_micrometres(tmp_path, data):
    tifffile.imwrite(
        tmp_path / "a.tif",
        data[:, 0],
        imagej=True,
        resolution=(1 / 0.2, 1 / 0.4),
        metadata={"axes": "ZYX", "unit": "micron", "spacing": 1.5},
    )
    back = read_image(tmp_path / "a.tif")
    assert back.axes == "ZYX"
    assert back.pixel_size == pytest.approx({"X": 0.2, "Y": 0.4, "Z": 1.5}, rel=1e-3)


def test_bigtiff_is_read_piece_by_piece(tmp_path, data, monkeypatch):
    monkeypatch.setattr("napari_cosdd.data.io.EAGER_LIMIT", 10)
    tifffile.imwrite(tmp_path / "a.btf", data, bigtiff=True, metadata={"axes": "ZCYX"})
    back = read_image(tmp_path / "a.btf")
    assert isinstance(back.data, zarr.Array)
    np.testing.assert_array_equal(back.data[1, 0, 3:9], data[1, 0, 3:9])


def test_user_axes_win_over_the_file(tmp_path, data):
    write_image(tmp_path / "a.tif", Image(data, "ZCYX"))
    assert read_image(tmp_path / "a.tif", "tcyx").axes == "TCYX"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as an image"),
        (b"II*\0 garbage", "cannot be read as an image"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, words):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(BadInputError, match=f"a.tif {words}"):
        read_image(tmp_path / "a.tif")


def test_color_complex_and_pickles_are_refused(tmp_path):
    rgb = np.zeros((9, 9, 3), np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", rgb, photometric="rgb")
    np.save(tmp_path / "rgb.npy", rgb)
    np.save(tmp_path / "complex.npy", np.zeros((9, 9), complex))
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    for name, words in [
        ("rgb.tif", "color"),
        ("rgb.npy", "color"),
        ("complex.npy", "expected whole or real numbers, got complex"),
        ("pickle.npy", "cannot be read"),
    ]:
        with pytest.raises(BadInputError, match=words):
            read_image(tmp_path / name)


def test_zarr_that_points_outside_is_refused(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.attrs["ome"] = {"multiscales": [{"datasets": [{"path": "../secret"}]}]}
    with pytest.raises(BadInputError, match="points outside itself"):
        read_image(tmp_path / "a.zarr")


def test_folders_hold_only_their_images(tmp_path):
    for name in ("b.tif", "a.tif", "notes.txt", ".DS_Store"):
        (tmp_path / name).touch()
    assert [p.name for p in find_images(tmp_path)] == ["a.tif", "b.tif"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="holds no image"):
        find_images(tmp_path / "empty")
    with pytest.raises(BadInputError, match="no file or folder"):
        find_images(tmp_path / "nowhere")


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "kept.tif").write_text("old")

    def fail():
        with atomic(tmp_path / "kept.tif") as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["kept.tif"]
    assert (tmp_path / "kept.tif").read_text() == "old"


def test_an_output_that_exists_is_kept(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(BadInputError, match="exists already"):
        check_output(tmp_path / "a.tif", overwrite=False)
    check_output(tmp_path / "a.tif", overwrite=True)


def test_whole_numbers_are_rounded_and_kept_in_range():
    values = np.array([-3.0, 1.6, 300.0])
    assert as_type(values, np.dtype(np.uint8)).tolist() == [0, 2, 255]
    assert as_type(values, np.dtype(np.float32)).dtype == np.float32
