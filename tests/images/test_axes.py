import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import check_axes, guess_axes
from napari_cosdd.images.filling import FilledStack
from napari_cosdd.images.stack import Stack

LENGTHS = {"S": 2, "T": 3, "C": 4, "Z": 5, "Y": 6, "X": 7}


@given(st.permutations("STCZYX"), st.integers(1, 6), st.sampled_from([1, 2, 3]))
@settings(max_examples=150, deadline=None)
def test_canonical_and_back_is_exact_for_every_order(letters, n, ndim):
    axes = "".join(letters[:n])
    if not set("ZYX"[-ndim:]) <= set(axes):
        return
    shape = tuple(LENGTHS[a] for a in axes)
    data = np.arange(np.prod(shape)).reshape(shape)
    source, copy = Stack(data, axes, ndim), np.zeros_like(data)
    target = Stack(copy, axes, ndim)
    assert source.shape == (source.n_images, source.n_channels, *source.size)
    for i in range(source.n_images):
        target.write(i, None, source.read(i))
    np.testing.assert_array_equal(copy, data)
    assert source.n_channels == (4 if "C" in axes else 1)


def test_a_region_is_read_in_canonical_order():
    data = np.arange(7 * 6 * 4).reshape(7, 6, 4)
    stack = Stack(data, "XYC", 2)
    part = stack.read(0, (slice(1, 3), slice(2, 6)))
    np.testing.assert_array_equal(part, data[2:6, 1:3].transpose(2, 1, 0))


def test_lazy_arrays_are_read_only_where_asked():
    computed = []

    def block(block_info=None):
        computed.append(block_info[None]["chunk-location"])
        return np.ones((1, 8, 8))

    lazy = da.map_blocks(block, chunks=((1,) * 4, (8, 8), (8, 8)), dtype=float)
    computed.clear()
    Stack(lazy, "TYX", 2).read(2, (slice(0, 4), slice(9, 12)))
    assert computed == [(2, 0, 1)]


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ("YQ", "contain Q"),
        ("YY", "twice"),
        ("YX", "name 2 axes, but the image has 3"),
        ("TZY", "have no X"),
    ],
)
def test_wrong_axes_are_named(axes, words):
    with pytest.raises(BadInputError, match=words):
        check_axes(axes, (3, 4, 5))


def test_missing_spatial_axis_is_named():
    with pytest.raises(BadInputError, match="3-dimensional method needs axes ZYX"):
        Stack(np.zeros((4, 5, 6)), "TYX", 3)


def test_guesses_end_in_yx():
    assert guess_axes((5, 6)) == "YX"
    assert guess_axes((4, 5, 6)) == "TYX"
    with pytest.raises(BadInputError, match="1 to 6 axes"):
        guess_axes((1,) * 7)


def test_filled_stack_takes_the_nearest_finite_value():
    data = np.arange(12.0).reshape(3, 4)
    data[1, 1], data[2, 3] = np.nan, np.inf
    filled = FilledStack(data, "YX", 2, "missing").read(0)[0]
    assert np.isfinite(filled).all()
    assert filled[1, 1] in {1.0, 4.0, 6.0, 9.0}
    good = np.isfinite(data)
    np.testing.assert_array_equal(filled[good], data[good])


def test_holes_are_filled_alike_by_tiles_that_overlap():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(64, 64))
    data[20:24, 30:36] = np.nan
    stack = FilledStack(data, "YX", 2, "missing")
    whole = stack.read(0)[0]
    box = (slice(22, 60), slice(32, 64))
    np.testing.assert_array_equal(stack.read(0, box)[0], whole[box])
    np.testing.assert_array_equal(
        stack.read(0, (slice(None), slice(10, None)))[0], whole[:, 10:]
    )


def test_nothing_near_takes_the_median_of_the_channel():
    data = np.full((2, 80, 80), np.nan)
    data[0, 70:, 70:] = 5.0
    data[1] = 100.0
    filled = FilledStack(data, "CYX", 2, "missing").read(0, (slice(0, 8), slice(0, 8)))
    assert (filled[0] == 5.0).all()
    assert (filled[1] == 100.0).all()
    every_eighth = np.ones((16, 16))
    every_eighth[::8] = np.nan
    assert (FilledStack(every_eighth, "YX", 2, "missing").read(0) == 1.0).all()
    with pytest.raises(BadInputError, match="no finite pixel"):
        FilledStack(np.full((4, 4), np.nan), "YX", 2, "missing").read(0)
