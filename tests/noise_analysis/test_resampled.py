"""Noise of rows in images that were smoothed or resampled runs along both axes."""

from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from scipy import ndimage

from napari_cosdd.datasets.simulate import ar1, cells, stripes
from napari_cosdd.images.stack import Stack
from napari_cosdd.noise_analysis.facts import SHARED
from napari_cosdd.noise_analysis.report import report
from napari_cosdd.prediction.analysis import noise_report

RESAMPLED = {
    "smoothed": lambda n: ndimage.uniform_filter(n, 3),
    "blurred": lambda n: ndimage.gaussian_filter(n, 0.8),
    "registered": lambda n: ndimage.shift(n, (0.5, 0.5), order=1, mode="mirror"),
    "enlarged": lambda n: ndimage.zoom(n[:128, :128], 2, order=1),
}


@pytest.fixture(params=[False, True], ids=["empty", "cells"])
def scene(request):
    clean = cells((256, 256), np.random.default_rng(1), n=20)
    return clean if request.param else np.zeros_like(clean)


@pytest.mark.parametrize("kind", RESAMPLED)
def test_it_is_not_said_to_run_along_rows_alone(kind, scene):
    noise = RESAMPLED[kind](ar1((256, 256), 0.8, np.random.default_rng(0)))
    stack = Stack(1000 + 500 * scene + 40 * noise / noise.std(), "YX", 2)
    facts = noise_report(stack).facts
    assert facts.pattern in ("both axes", "unclear")
    assert facts.safe_axis == "none"


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
def test_noise_as_the_detector_gave_it_is_still_told(rho, scene):
    noise = ar1((256, 256), rho, np.random.default_rng(0))
    for image, axis in ((noise, "x"), (noise.T, "y")):
        found = report(Stack(1000 + 500 * scene + 40 * image, "YX", 2))
        assert found.facts.axis == axis
        assert abs(found.correlation.shared[axis == "y"]) < SHARED


def test_small_images_are_told_as_well():
    told = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        clean = cells((96, 128), rng, n=12)
        noisy = 1000 * stripes(clean, rng, gain=0.008, gaussian=0.04, row=0.05)
        told += report(Stack(noisy, "YX", 2)).facts.axis == "x"
    assert told >= 15


@pytest.mark.parametrize(
    "hit", [np.s_[50:56, 50], np.s_[50:52, 50:52], np.s_[50, 50:80]]
)
def test_the_track_of_a_particle_does_not_decide(hit):
    image = 1000 + 70 * ar1((256, 256), 0.7, np.random.default_rng(0))
    image[hit] = 60_000
    found = report(Stack(image, "YX", 2))
    assert found.facts.axis == "x"
    assert found.correlation.along_x[1] == pytest.approx(0.7, abs=0.05)
    assert found.facts.receptive_field < 20


def test_many_hot_pixels_and_dead_columns_do_not_decide():
    rng = np.random.default_rng(0)
    image = 1000 + 70 * ar1((256, 256), 0.7, rng)
    hot, dead = image.copy(), image.copy()
    hot.ravel()[rng.choice(hot.size, 130, replace=False)] = 60_000
    dead[:, np.linspace(10, 245, 8).astype(int)] = 0
    for broken in (hot, dead):
        facts = report(Stack(broken, "YX", 2)).facts
        assert (facts.pattern, facts.axis) == ("one axis", "x")


@pytest.mark.parametrize("lag", [4, 8])
def test_noise_that_returns_after_some_pixels_is_told(lag):
    white = np.random.default_rng(0).normal(size=(256, 256 + lag))
    image = 1000 + 50 * (white[:, lag:] + white[:, :-lag])  # a detector of two outputs
    facts = report(Stack(image, "YX", 2)).facts
    assert (facts.axis, facts.reach, facts.weak) == ("x", lag, False)
    assert facts.receptive_field > lag
    assert f"still visible {lag} px away" in facts.sentence


def test_a_constant_channel_is_passed_over():
    noise = ar1((128, 128), 0.6, np.random.default_rng(0))
    image = np.stack([1000 + 50 * noise, np.full(noise.shape, 7.0)])
    assert report(Stack(image, "CYX", 2)).facts.axis == "x"


@pytest.mark.parametrize("quality", [60, 40, 20])
def test_compressed_noise_has_no_axis(quality):
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(size=(256, 256))
        pixels = np.clip(128 + 15 * noise, 0, 255).astype(np.uint8)
        packed = BytesIO()
        PIL.Image.fromarray(pixels).save(packed, "JPEG", quality=quality)
        facts = noise_report(Stack(np.asarray(PIL.Image.open(packed)), "YX", 2)).facts
        assert facts.safe_axis == "none"


def test_channels_of_other_axes_are_told_apart():
    noise = ar1((160, 160), 0.7, np.random.default_rng(0))
    image = np.stack([1000 + 50 * noise, 1000 + 40 * noise.T, 1000 + 50 * noise])
    facts = noise_report(Stack(image, "CYX", 2)).facts
    assert facts.safe_axis == "none"
    assert "channel 0 along rows, channel 1 along columns" in facts.sentence
    assert noise_report(Stack(image[::2], "CYX", 2)).facts.axis == "x"
