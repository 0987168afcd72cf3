import numpy as np

from napari_cosdd.images.saturation import SATURATED, cut_off
from napari_cosdd.images.stack import Stack
from napari_cosdd.noise_analysis.report import report


def test_pixels_that_pile_up_at_the_top_are_counted():
    rng = np.random.default_rng(0)
    noisy = rng.normal(100, 10, (2, 96, 96))
    assert cut_off(noisy) < SATURATED
    clipped = np.minimum(noisy, np.quantile(noisy[1], 0.98))
    assert abs(cut_off(clipped) - 0.02) < 0.005
    clipped[0, :9] = np.nan
    assert cut_off(clipped) > SATURATED


def test_few_levels_without_a_pile_and_constants_are_not():
    photons = np.random.default_rng(0).poisson(0.7, (64, 64))
    assert cut_off(photons) < SATURATED
    assert cut_off(np.full((64, 64), 7)) == 0


def test_the_analysis_tells_it():
    noisy = np.random.default_rng(0).normal(100, 10, (96, 96))
    assert report(Stack(noisy, "YX", 2)).left_out == ""
    clipped = np.minimum(noisy, 115)
    assert "have the highest grey level" in report(Stack(clipped, "YX", 2)).left_out
