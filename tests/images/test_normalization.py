import numpy as np
import pytest

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.normalization import Normalization


def test_statistics_are_exact_and_of_all_images():
    rng = np.random.default_rng(0)
    images = [rng.normal(10_137, 3, (2, 5, n)) for n in (7, 11, 2)]
    found = Normalization.fit(images)
    pixels = np.concatenate([i.reshape(2, -1) for i in images], 1)
    np.testing.assert_allclose(found.mean, pixels.mean(1), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std(1), rtol=1e-9)


def test_apply_and_invert_are_inverse():
    levels = Normalization(mean=(100.0, 3.0), std=(7.0, 0.1))
    x = np.random.default_rng(0).normal(size=(2, 4, 5)) * 50
    np.testing.assert_allclose(levels.invert(levels.apply(x, 2), 2), x, atol=1e-4)


def test_a_deviation_has_a_scale_and_no_offset():
    levels = Normalization(mean=(100.0,), std=(7.0,))
    assert levels.invert_scale(np.ones((1, 2, 2)), 2).max() == 7.0


def test_a_constant_channel_is_named():
    image = np.random.default_rng(0).normal(size=(2, 4, 4))
    image[1] = 5
    with pytest.raises(BadInputError, match=r"channel 1 is constant"):
        Normalization.fit([image])


def test_small_deviations_on_large_offsets_are_no_constant():
    noise = np.random.default_rng(0).normal(0, 0.5, (1, 64, 64))
    fitted = Normalization.fit([1e9 + noise])
    assert fitted.std[0] == pytest.approx(0.5, rel=0.05)


def test_grey_levels_beyond_double_precision_are_told():
    levels = np.full((1, 8, 8), 2**63, np.uint64)
    levels[0, ::2] += 3
    with pytest.raises(BadInputError, match="subtract an offset first"):
        Normalization.fit([levels])


def test_one_constant_channel_of_several_can_be_left_out():
    images = np.stack([np.random.default_rng(0).normal(size=(8, 8)), np.ones((8, 8))])
    with pytest.raises(BadInputError, match=r"channel 1 is constant .* leave it out"):
        Normalization.fit([images])
