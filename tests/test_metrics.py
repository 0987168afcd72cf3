import numpy as np
import pytest

from napari_cosdd.errors import BadInputError
from napari_cosdd.metrics import coverage, score


def test_known_error_gives_known_psnr():
    reference = np.tile(np.linspace(0, 1, 64), (64, 1))
    noise = np.random.default_rng(0).normal(0, 0.1, (64, 64))
    assert score(reference + noise, reference).psnr == pytest.approx(20, abs=0.2)
    assert score(reference, reference, 1.0).ssim == pytest.approx(1)


def test_gain_and_offset_count_only_without_the_fit():
    reference = np.random.default_rng(0).random((32, 32))
    scores = score(3 * reference + 7, reference)
    assert scores.psnr < 0
    assert scores.psnr_affine > 100


def test_what_cannot_be_compared_is_named():
    with pytest.raises(BadInputError, match="differ in shape"):
        score(np.zeros((8, 8)), np.zeros((8, 9)))
    with pytest.raises(BadInputError, match="constant"):
        score(np.zeros((8, 8)), np.ones((8, 8)))


def test_intervals_of_samples_hold_as_much_truth_as_they_say():
    rng = np.random.default_rng(0)
    truth, samples = rng.normal(size=(200, 200)), rng.normal(size=(39, 200, 200))
    found = coverage(samples, truth)
    for nominal in (0.5, 0.8, 0.95):
        assert nominal in np.round(found.nominal, 10)
        assert found.at(nominal) == pytest.approx(nominal, abs=0.01)
    narrow = coverage(0.5 * samples, truth)
    assert narrow.at(0.8) == pytest.approx(0.478, abs=0.02)  # erf(0.64 / sqrt 2)
    assert coverage(3 * samples, truth).at(0.8) > 0.97


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 5)])
def test_coverage_needs_samples_of_one_shape(shape):
    with pytest.raises(BadInputError, match="expected two or more samples"):
        coverage(np.zeros(shape), np.zeros((4, 4)))


def test_coverage_beyond_the_widest_interval_is_not_known():
    rng = np.random.default_rng(0)
    found = coverage(rng.normal(size=(8, 64, 64)), rng.normal(size=(64, 64)))
    assert found.at(7 / 9) == pytest.approx(7 / 9, abs=0.03)
    assert np.isnan(found.at(0.95))


def test_planes_too_small_for_ssim_are_told():
    with pytest.raises(BadInputError, match="7 × 7 are the least"):
        score(np.ones((4, 64)), np.arange(256.0).reshape(4, 64))
