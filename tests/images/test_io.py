import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import letters_of
from napari_cosdd.images.files import atomic, check_output
from napari_cosdd.images.formats.any import read_image, stem, write_image
from napari_cosdd.images.formats.ome_zarr_writer import write_zarr
from napari_cosdd.images.formats.search import find_images
from napari_cosdd.images.formats.tiff_planes import PixelsInOneBlock
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import as_images
from napari_cosdd.images.normalization import as_type

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


@pytest.mark.parametrize("suffix", ["ome.tif", "zarr"])
def test_names_of_channels_survive_the_round_trip(tmp_path, data, suffix):
    names = tuple(f'stain "{i}" <µ>' for i in range(data.shape[1]))
    image = Image(data, "ZCYX", "a", channels=names)
    write_image(tmp_path / f"a.{suffix}", image)
    assert read_image(tmp_path / f"a.{suffix}").channels == names
    one = image.with_data(data[:, :1], "one")
    write_image(tmp_path / f"one.{suffix}", one)
    assert read_image(tmp_path / f"one.{suffix}").channels == ()


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


def test_imagej_axes_may_have_units_of_their_own(tmp_path, data):
    described = {"axes": "ZYX", "unit": "\\u00B5m", "zunit": "nm", "spacing": 300}
    tifffile.imwrite(
        tmp_path / "a.tif",
        data[:, 0],
        imagej=True,
        resolution=(5, 5),
        metadata=described,
    )
    back = read_image(tmp_path / "a.tif")
    assert back.pixel_size == pytest.approx({"X": 0.2, "Y": 0.2, "Z": 0.3}, rel=1e-3)


def test_ome_zarr_scales_multiply_and_old_axes_are_read(tmp_path, data):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", data=data[0])
    scale = {"type": "scale", "scale": [1.0, 2.0, 2.0]}
    described = {
        "axes": ["z", "y", "x"],
        "coordinateTransformations": [{"type": "scale", "scale": [1.0, 0.5, 0.25]}],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
    group.attrs["multiscales"] = [described]
    back = read_image(tmp_path / "a.zarr")
    assert back.axes == "ZYX"
    assert dict(back.pixel_size) == {"Z": 1.0, "Y": 1.0, "X": 0.5}


def test_bigtiff_is_read_piece_by_piece(tmp_path, data, monkeypatch):
    monkeypatch.setattr("napari_cosdd.images.formats.tiff.EAGER_LIMIT", 10)
    tifffile.imwrite(tmp_path / "a.btf", data, bigtiff=True, metadata={"axes": "ZCYX"})
    back = read_image(tmp_path / "a.btf")
    assert isinstance(back.data, PixelsInOneBlock)
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


@pytest.mark.parametrize(
    "axes", ["YXC", "XY", "ZX", "YXT", "STCYX", "X", "TCZYX", "SYX"]
)
@pytest.mark.parametrize("dtype", ["int64", "float16", "uint16"])
def test_every_order_of_axes_can_be_written(tmp_path, axes, dtype):
    length = {"S": 2, "T": 3, "C": 2, "Z": 4, "Y": 20, "X": 30}
    shape = tuple(length[a] for a in axes)
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    write_image(tmp_path / "a.tif", Image(data, axes))
    back = read_image(tmp_path / "a.tif")
    assert set(back.axes) >= set(axes.replace("S", "T")) - {"T", "C", "Z"}
    assert np.asarray(back.data).size == data.size
    order = [axes.index(a) for a in back.axes if a in axes]
    if "S" not in axes and len(order) == data.ndim:
        moved = data.transpose(order).astype(float)
        found = np.asarray(back.data).astype(float)
        np.testing.assert_array_equal(found.reshape(moved.shape), moved)


def test_an_existing_zarr_is_replaced_whole(tmp_path, data):
    for n in (2, 3):
        write_image(tmp_path / "a.zarr", Image(data[:n], "ZCYX"))
    assert read_image(tmp_path / "a.zarr").data.shape == data.shape
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
def test_units_are_kept_and_unknown_sizes_stay_unknown(tmp_path, data, suffix):
    sized = Image(data[0], "TYX", pixel_size={"X": 65.0, "Y": 65.0}, unit="nm")
    write_image(tmp_path / f"a.{suffix}", sized)
    write_image(tmp_path / f"b.{suffix}", Image(data[0], "TYX"))
    back = read_image(tmp_path / f"a.{suffix}")
    assert (dict(back.pixel_size), back.unit) == ({"X": 65.0, "Y": 65.0}, "nm")
    assert not read_image(tmp_path / f"b.{suffix}").pixel_size


def test_names_lose_known_suffixes_only():
    assert stem(Path("2024.05.12_a.ome.tif")) == "2024.05.12_a"
    assert stem(Path("b.TIF")) == "b"


def test_color_samples_are_no_samples_of_ours(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((9, 9, 3), np.uint8),
        photometric="minisblack",
        planarconfig="contig",
        metadata=None,
    )
    with pytest.raises(BadInputError, match="color"):
        read_image(tmp_path / "a.tif")


def test_sizes_that_are_not_known_are_not_invented(tmp_path, data):
    sized = Image(data[0], "ZYX", pixel_size={"X": 0.1, "Y": 0.1})
    for name in ("a.zarr", "a.tif"):
        write_image(tmp_path / name, sized)
        assert dict(read_image(tmp_path / name).pixel_size) == {"X": 0.1, "Y": 0.1}


def test_all_series_of_bioformats2raw_are_found(tmp_path, data):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    for series in ("0", "1"):
        write_zarr(tmp_path / "a.zarr" / series, Image(data[0], "TYX"), {})
    both = find_images(tmp_path / "a.zarr")
    assert both == [tmp_path / "a.zarr" / "0", tmp_path / "a.zarr" / "1"]
    assert [stem(path) for path in both] == ["a-0", "a-1"]
    np.testing.assert_array_equal(np.asarray(read_image(both[0]).data), data[0])
    with pytest.raises(BadInputError, match=r"holds 2 images; give one.*a\.zarr/0"):
        read_image(tmp_path / "a.zarr")
    inner = tmp_path / "a.zarr" / "1"  # a folder of zarr's, whatever it is called
    assert find_images(inner) == [inner]
    assert read_image(inner).axes == "TYX"


def test_a_series_that_leads_in_a_circle_or_outside_is_refused(tmp_path, data):
    write_zarr(tmp_path / "b.zarr", Image(data[0], "TYX"), {})
    for target in (".", "../b.zarr"):
        group = zarr.open_group(tmp_path / "a.zarr", mode="w")
        group.attrs["bioformats2raw.layout"] = 3
        (tmp_path / "a.zarr" / "0").symlink_to(target)
        with pytest.raises(BadInputError, match=r"no image there|outside itself"):
            read_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
def test_the_interval_between_time_points_is_kept(tmp_path, data, suffix):
    write_image(tmp_path / f"a.{suffix}", Image(data[0], "TYX", interval=2.5))
    assert read_image(tmp_path / f"a.{suffix}").interval == 2.5
    write_image(tmp_path / f"b.{suffix}", Image(data[0], "TYX"))
    assert read_image(tmp_path / f"b.{suffix}").interval is None


def test_imagejs_interval_is_read(tmp_path, data):
    said = {"axes": "TYX", "finterval": 40.0, "tunit": "ms"}
    tifffile.imwrite(tmp_path / "a.tif", data[0], imagej=True, metadata=said)
    assert read_image(tmp_path / "a.tif").interval == pytest.approx(0.04)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "f4"])
def test_a_few_planes_are_a_stack(tmp_path, n, kind):
    """tifffile tags three or four planes as color; stated axes always win."""
    path, planes = tmp_path / "planes.tif", np.arange(n * 60).reshape(n, 6, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(path, planes.astype(kind))
    for axes in ("TYX", "CYX", "ZYX"):
        image = read_image(path, axes)
        assert (image.axes, image.axes_from) == (axes, "user")
        np.testing.assert_array_equal(image.data, planes.astype(kind))
        np.testing.assert_array_equal(
            np.asarray(read_image(path, axes, lazy=True).data), planes.astype(kind)
        )
    if n in (3, 4) and kind == "u1":
        with pytest.raises(BadInputError, match=r"give the axes \(TYX, ZYX, CYX\)"):
            read_image(path)
    else:
        image = read_image(path)
        assert (image.axes, image.axes_from) == ("TYX", "guess")


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "CYX"])
def test_axes_in_the_metadata_outweigh_the_tag_for_color(tmp_path, axes):
    path, planes = tmp_path / "planes.tif", np.ones((3, 6, 10), np.uint8)
    tifffile.imwrite(path, planes, metadata={"axes": axes}, photometric="rgb")
    assert read_image(path).axes == axes


def test_color_pictures_are_refused(tmp_path):
    path = tmp_path / "color.tif"
    tifffile.imwrite(path, np.ones((6, 10, 3), np.uint8), photometric="rgb")
    with pytest.raises(BadInputError, match="color"):
        read_image(path)


def test_samples_of_grey_pixels_are_channels(tmp_path):
    path = tmp_path / "planar.tif"
    pixels = np.arange(120, dtype=np.uint16).reshape(2, 6, 10)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="separate")
    image = read_image(path)
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.data, pixels)


def test_indices_of_a_look_up_table_are_grey_levels(tmp_path):
    path, table = tmp_path / "green.tif", np.zeros((3, 256), np.uint16)
    table[1] = np.arange(256) * 257
    pixels = np.arange(60, dtype=np.uint8).reshape(6, 10)
    tifffile.imwrite(path, pixels, photometric="palette", colormap=table)
    np.testing.assert_array_equal(read_image(path).data, pixels)


def test_a_reduced_preview_before_the_image_is_passed_over(tmp_path):
    path, pixels = tmp_path / "preview.tif", np.arange(2400.0).reshape(40, 60)
    with tifffile.TiffWriter(path) as writer:
        known = {"contiguous": False, "metadata": None}
        writer.write(pixels[::8, ::8].copy(), subfiletype=1, **known)
        writer.write(pixels, **known)
    for lazy in (False, True):
        np.testing.assert_array_equal(
            np.asarray(read_image(path, lazy=lazy).data), pixels
        )


@pytest.mark.parametrize(
    ("unit", "per_unit"), [("CENTIMETER", 1e5), (4, 1e4), (5, 10.0)]
)
def test_the_resolution_tags_give_the_pixel_size(tmp_path, unit, per_unit):
    path = tmp_path / "scaled.tif"
    tifffile.imwrite(
        path, np.ones((6, 10)), resolution=(per_unit, per_unit), resolutionunit=unit
    )
    image = read_image(path)
    assert image.unit == "um"
    assert image.pixel_size == pytest.approx({"X": 0.1, "Y": 0.1})


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("TRZCYX", "TSZCYX"),  # Micro-Manager's positions
        ("QYX", "TYX"),
        ("IYX", "TYX"),
        ("RTYX", "STYX"),
        ("ZQYX", "ZTYX"),
        ("YXR", "TYX"),  # by the shape alone
    ],
)
def test_letters_without_a_meaning_leave_the_others_theirs(axes, expected):
    assert letters_of(axes, (2,) * len(axes)) == (expected, "guess")


@pytest.mark.parametrize("lost", [20_000, 100_000, 250_000])
def test_an_imagej_stack_that_is_cut_short_is_refused(tmp_path, lost):
    path, frames = tmp_path / "stack.tif", np.ones((10, 128, 128), np.uint16)
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX"})
    assert read_image(path).data.shape == (10, 128, 128)
    path.write_bytes(path.read_bytes()[:-lost])
    whole = 10 - -(-lost // (2 * 128**2))
    words = f"says 10 planes, and the file has room for {whole}"
    with pytest.raises(BadInputError, match=words):
        read_image(path)


def test_a_dask_array_of_unknown_length_is_refused_in_words():
    pixels = da.ones((96, 96), chunks=48)
    chosen = pixels[da.ones(96, dtype=bool, chunks=48)]
    with pytest.raises(BadInputError, match=r"compute_chunk_sizes\(\)"):
        as_images(chosen, "YX")


def test_each_image_of_a_file_has_its_own_metadata(tmp_path):
    path = tmp_path / "multi.ome.tif"
    micrometre = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for size, planes, name in ((1.0, 1, "overview"), (0.1, 3, "detail")):
            about = {
                "axes": "TYX",
                "PhysicalSizeX": size,
                "PhysicalSizeY": size,
                "TimeIncrement": 50 * size,
                "TimeIncrementUnit": "s",
                "Channel": {"Name": [name]},
            }
            data = np.ones((planes, 16, 24), np.uint16)
            tiff.write(data, photometric="minisblack", metadata=about | micrometre)
    first, second = as_images(path)
    assert (first.pixel_size["X"], first.channels) == (1.0, ("overview",))
    assert (second.pixel_size["X"], second.channels) == (0.1, ("detail",))
    assert (first.interval, second.interval) == (50, 5)
