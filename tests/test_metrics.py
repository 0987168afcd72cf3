import numpy as np
import pytest

from napari_cosdd.errors import BadInputError
from napari_cosdd.metrics import score


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
