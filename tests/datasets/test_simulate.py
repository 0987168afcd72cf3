import numpy as np
import pytest

from napari_cosdd.datasets import simulate
from napari_cosdd.noise_analysis.autocorrelation import autocorrelation

CLEAN = np.full((4, 128, 128), 0.5, np.float32)


def noise(make, **settings):
    return make(CLEAN, np.random.default_rng(0), **settings) - CLEAN


def test_stripes_are_correlated_along_rows_only():
    n = noise(simulate.stripes)
    expected = 0.002 * 0.5 + 0.02**2 + 0.025**2 / (2 * np.sqrt(np.pi))
    assert n.var() == pytest.approx(expected, rel=0.02)
    assert abs(n.mean()) < 1e-3
    found = autocorrelation(n)
    assert found.along_x[1] > 10 * found.standard_error
    assert np.abs(found.along_y[1:]).max() < 5 * found.standard_error


def test_shot_noise_grows_with_the_signal():
    bright = simulate.stripes(2 * CLEAN, np.random.default_rng(0)) - 2 * CLEAN
    assert bright.var() > 1.3 * noise(simulate.stripes).var()


def test_long_range_rows_decay_as_stated():
    n = noise(simulate.long_range_rows, gain=1e-9, gaussian=0.0)
    assert n.std() == pytest.approx(0.08, rel=0.05)
    profile = autocorrelation(n).along_x
    np.testing.assert_allclose(profile[:10], 0.93 ** np.arange(10), atol=0.06)


def test_checkerboard_has_a_period_of_four_along_columns():
    profile = autocorrelation(noise(simulate.checkerboard)).along_y
    assert profile[2] < -0.5
    assert profile[4] > 0.5


def test_gaussian_field_has_the_stated_spectrum():
    field = simulate.gaussian_field((200, 32, 32), 2.0, np.random.default_rng(0))
    assert field.var() == pytest.approx(1, rel=0.05)
    power = (np.abs(np.fft.fft2(field)) ** 2).mean(0) / 32**2
    expected = simulate.gaussian_spectrum((32, 32), 2.0)
    np.testing.assert_allclose(power[:3, :3], expected[:3, :3], rtol=0.5)


def test_the_phantom_is_a_signal_between_0_and_1():
    phantom = simulate.cells((64, 80), np.random.default_rng(0))
    assert phantom.shape == (64, 80)
    assert 0 <= phantom.min() < phantom.max() <= 1
