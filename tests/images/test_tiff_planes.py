import numpy as np
import pytest
import tifffile

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.formats.any import read_image
from napari_cosdd.images.formats.tiff_planes import PixelsInOneBlock
from napari_cosdd.images.stack import Stack

GREY = {"photometric": "minisblack"}


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 60_000, (3, 4, 40, 50), np.uint16)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("axes", ["TZYX", "TCYX", "TYXC", "YX"])
def test_parts_of_a_block_are_those_of_the_array(tmp_path, pixels, order, axes):
    path, image = tmp_path / "a.tif", pixels[0, 0] if axes == "YX" else pixels
    metadata = {"axes": axes}
    tifffile.imwrite(path, image, byteorder=order, metadata=metadata, **GREY)
    data = read_image(path, axes, lazy=True).data
    assert isinstance(data, PixelsInOneBlock)
    assert data.dtype == np.dtype(np.uint16)
    np.testing.assert_array_equal(np.asarray(data), image)
    lead = image.ndim - 2
    for index in [
        (slice(None),) * image.ndim,
        (*(1,) * lead, slice(3, 20), slice(10, 45)),
        (*(slice(1, 3),) * lead, slice(0, 7), 5),
        (*(0,) * lead, -1, slice(None, -3)),
        (*(0,) * lead, slice(5, 5), slice(None)),
    ]:
        np.testing.assert_array_equal(data[index], image[index])


def test_a_file_that_is_cut_short_while_it_is_used_is_an_error(tmp_path, pixels):
    """A map of it would end the program."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels[0], metadata={"axes": "TYX"}, **GREY)
    stack = Stack(read_image(path, lazy=True).data, "TYX", 2, "a")
    path.write_bytes(path.read_bytes()[:6000])
    stack.read(0, (slice(0, 4), slice(0, 50)))
    with pytest.raises(BadInputError, match=r"a \(T 3\) cannot be read.*EOFError"):
        stack.read(3)


@pytest.mark.parametrize("whole", [11, 9, 3])
@pytest.mark.parametrize("shape", [(12, 40, 50), (4, 3, 40, 50)])
def test_what_is_whole_of_an_imagej_stack_is_salvaged(tmp_path, pixels, shape, whole):
    path, image = tmp_path / "a.tif", pixels.reshape(shape)
    axes = "TZYX"[4 - len(shape) :] if len(shape) == 4 else "TYX"
    tifffile.imwrite(path, image, imagej=True, metadata={"axes": axes})
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages[0].dataoffsets[0]
    path.write_bytes(path.read_bytes()[: start + whole * 2 * 40 * 50 + 10])
    with pytest.raises(BadInputError, match=r"says 12 planes.*--salvage"):
        read_image(path)
    back = read_image(path, salvage=True)
    n = whole // (12 // shape[0])
    assert back.axes == axes
    np.testing.assert_array_equal(back.data, image[:n])
    assert f"{n} time points are used" in back.note


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_what_is_whole_of_other_stacks_is_salvaged(tmp_path, pixels, compression):
    path, image = tmp_path / "a.tif", pixels[:, 0]
    said = {"axes": "TYX"}
    tifffile.imwrite(path, image, compression=compression, metadata=said, **GREY)
    with tifffile.TiffFile(path) as tiff:  # the pixels of the last plane come last
        block = tiff.series[0].dataoffset
        end = (block or tiff.pages[2].dataoffsets[0]) + (2 * 4000 if block else 0) + 10
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(BadInputError, match="2 of 3 planes are there"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, salvage=True).data, image[:2])
