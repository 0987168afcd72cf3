import numpy as np
import pytest

from napari_cosdd.datasets.simulate import ar1, cells
from napari_cosdd.images.filling import FilledStack
from napari_cosdd.images.outliers import without_outliers
from napari_cosdd.images.stack import Stack
from napari_cosdd.images.stuck_lines import stuck_lines, without_stuck_lines
from napari_cosdd.noise_analysis.report import report


def scene(seed=0, rho=0.6, offsets=0.0):
    rng = np.random.default_rng(seed)
    clean = 500 + cells((192, 224), rng)
    lines = offsets * rng.standard_normal((192, 1))
    return clean + 20 * ar1((192, 224), rho, rng) + lines


def with_stuck(image, axis):
    lines = np.moveaxis(image.copy(), axis, 0)
    lines[50], lines[120], lines[121] = 4000, 0, 10  # a hot line, two dead ones
    return np.moveaxis(lines, 0, axis)


@pytest.mark.parametrize("axis", [0, 1])
def test_stuck_lines_are_found_and_filled(axis):
    image = scene()
    broken = with_stuck(image, axis)
    stuck = stuck_lines(broken, axis)
    assert np.flatnonzero(stuck).tolist() == [50, 120, 121]
    assert not stuck_lines(broken, 1 - axis).any()
    filled = np.moveaxis(without_stuck_lines(broken, stuck, axis), axis, 0)
    lines = np.moveaxis(image, axis, 0)
    np.testing.assert_allclose(filled[50], (lines[49] + lines[51]) / 2)
    np.testing.assert_allclose(filled[121], (lines[119] + lines[122]) / 2)
    np.testing.assert_array_equal(filled[~stuck], lines[~stuck])


def test_noise_of_lines_and_edges_of_the_scene_are_not_stuck():
    for seed, rho in enumerate([0.5, 0.9, 0.98, 0.99]):
        image = scene(seed, rho, offsets=15)
        image[100:] += 900  # the bar of an electron microscope
        for axis in (0, 1):
            assert not stuck_lines(image, axis).any()
    assert not stuck_lines(np.full((64, 64), 7), 0).any()
    photons = np.random.default_rng(0).poisson(0.05, (64, 64))
    assert not stuck_lines(photons, 1).any()
    grating = np.where(np.arange(64)[:, None] % 8 == 0, 900.0, 100.0) + scene()[:64]
    assert not stuck_lines(grating, 0).any()  # so many lines are the scene


@pytest.mark.parametrize("axis", [0, 1])
def test_stuck_lines_do_not_decide_on_the_axis_of_the_noise(axis):
    sound = report(Stack(scene(), "YX", 2))
    found = report(Stack(with_stuck(scene(), axis), "YX", 2))
    assert found.facts.pattern == sound.facts.pattern == "one axis"
    assert found.facts.axis == "x"
    assert found.n_outliers == 3 * scene().shape[1 - axis]
    assert "stuck rows or columns" in found.left_out


def test_tiles_of_an_image_too_large_to_keep_agree(monkeypatch):
    image = with_stuck(with_stuck(scene(), 0), 1)
    image[20, 30] = 9000
    whole, known = FilledStack(image, "YX", 2, "outliers").read_known(0)
    assert np.count_nonzero(~known) == 192 * 224 - 189 * 221 + 1
    assert whole.max() < scene().max() + 100
    monkeypatch.setattr("napari_cosdd.images.filling.KEPT", 0)
    stack = FilledStack(image, "YX", 2, "outliers")
    for corner in [(0, 0), (17, 33), (90, 101), (128, 160)]:
        region = tuple(slice(c, c + 64) for c in corner)
        np.testing.assert_array_equal(
            stack.read(0, region), whole[(slice(None), *region)]
        )
    line = stack.read(0, (slice(50, 51), slice(0, 224)))
    np.testing.assert_array_equal(line, whole[:, 50:51])


def test_stuck_columns_of_a_volume_are_filled_in_every_plane():
    volume = np.stack([with_stuck(scene(s), 1) for s in range(3)])
    pixels, known = FilledStack(volume, "ZYX", 3, "outliers").read_known(0)
    assert not known[0, :, :, [50, 120, 121]].any()
    assert pixels.max() < 1500
    filled, n, _ = without_outliers(volume)
    assert n == 3 * 3 * 192
    assert filled.dtype == volume.dtype
