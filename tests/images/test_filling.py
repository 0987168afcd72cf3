import numpy as np
import pytest

from napari_cosdd.datasets.simulate import ar1
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.filling import KEPT, FilledStack, too_many
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.stack import Stack


def noisy(shape=(150, 170), seed=0):
    return 500 + 20 * ar1(shape, 0.5, np.random.default_rng(seed))


def test_hot_and_dead_pixels_become_like_their_neighbours():
    image = noisy().astype(np.uint16)
    image[40, 50], image[100, 3], image[149, 169] = 65535, 0, 60000
    stack = FilledStack(image, "YX", 2, "outliers")
    pixels, known = stack.read_known(0)
    assert pixels.dtype == np.uint16
    assert [tuple(p) for p in np.argwhere(~known[0])] == [
        (40, 50),
        (100, 3),
        (149, 169),
    ]
    assert np.abs(pixels[0][~known[0]].astype(float) - 500).max() < 80
    np.testing.assert_array_equal(pixels[0][known[0]], image[known[0]])
    assert too_many([stack]) is None


def test_only_missing_pixels_are_filled_unless_asked():
    image = noisy()
    image[5, 5], image[40, 50] = np.nan, 9e4
    pixels = FilledStack(image, "YX", 2, "missing").read(0)[0]
    assert np.isfinite(pixels).all()
    assert pixels[40, 50] == 9e4
    pixels, known = FilledStack(image, "YX", 2, "outliers").read_known(0)
    assert pixels.max() < 700
    assert np.count_nonzero(~known) == 2


def test_tiles_of_an_image_too_large_to_keep_agree(monkeypatch):
    """Every tile finds the same outliers, wherever it begins."""
    image = noisy((200, 230))
    rng = np.random.default_rng(1)
    y, x = rng.integers(0, 200, 25), rng.integers(0, 230, 25)
    image[y, x] = rng.uniform(650, 1500, 25)  # some stick out just so
    whole = FilledStack(image, "YX", 2, "outliers").read(0)
    monkeypatch.setattr("napari_cosdd.images.filling.KEPT", 0)
    stack = FilledStack(image, "YX", 2, "outliers")
    for corner in [(0, 0), (17, 33), (90, 101), (136, 166)]:
        region = tuple(slice(c, c + 64) for c in corner)
        np.testing.assert_array_equal(
            stack.read(0, region), whole[(slice(None), *region)]
        )
    assert image.nbytes < KEPT


def test_photons_in_the_dark_are_noise_and_stay():
    photons = np.random.default_rng(0).poisson(0.02, (128, 128)).astype(np.uint16) * 90
    stack = FilledStack(photons, "YX", 2, "outliers")
    np.testing.assert_array_equal(stack.read(0)[0], photons)
    rare = np.random.default_rng(0).poisson(0.0005, (512, 512)).astype(np.uint16)
    stack = FilledStack(rare, "YX", 2, "outliers")
    np.testing.assert_array_equal(stack.read(0)[0], rare)


def test_many_pixels_that_stick_out_are_noise_and_stay():
    image, rng = noisy((128, 128)), np.random.default_rng(1)
    image[rng.random(image.shape) < 0.004] = 4000
    stack = FilledStack(image, "YX", 2, "outliers")
    np.testing.assert_array_equal(stack.read(0)[0], image)
    assert "taken for noise" in too_many([stack])
    assert too_many([Stack(image, "YX", 2)]) is None


def test_planes_of_a_volume_are_searched_one_by_one():
    volume = np.stack([noisy((64, 64), s) for s in range(3)])
    volume[1, 20, 20] = 5000
    _, known = FilledStack(volume, "ZYX", 3, "outliers").read_known(0)
    assert [tuple(p) for p in np.argwhere(~known[0])] == [(1, 20, 20)]


def test_what_cannot_be_filled_is_refused():
    with pytest.raises(BadInputError, match="'all': expected one of nothing"):
        stack_of(Image(noisy(), "YX"), 2, "all")
    with pytest.raises(BadInputError, match="in planes, not in lines"):
        stack_of(Image(noisy(), "YX"), 1, "outliers")
