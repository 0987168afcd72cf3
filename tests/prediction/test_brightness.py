import numpy as np
import pytest
import torch
from scipy import ndimage

from helpers import tiny_recipe
from napari_cosdd import api
from napari_cosdd.checks.methods_paragraph import methods_paragraph
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.prediction.brightness import blur_of, with_brightness_of
from napari_cosdd.settings.prediction import PredictionConfig


def test_a_bias_that_is_wider_than_the_blur_is_brought_back():
    y, x = np.mgrid[:96, :96]
    cell = 100 * np.exp(-0.5 * ((y - 48) ** 2 + (x - 48) ** 2) / 12**2)
    noise = np.random.default_rng(0).normal(0, 30, cell.shape)
    truth, noisy = (torch.from_numpy(a)[None, None] for a in (cell, cell + noise))
    result = 0.8 * truth  # a cell that was drawn towards the background
    kept = with_brightness_of(noisy, result, 4.0, lost=())
    inside = torch.from_numpy(cell > 50)[None, None]
    slope = float((kept * truth)[inside].sum() / (truth**2)[inside].sum())
    assert 0.97 < slope < 1.01
    assert float((kept - truth).std()) < float((result - truth).std())


def test_the_mean_has_the_brightness_of_the_noisy_image_and_samples_stay(model, noisy):
    settings = {"axes": "YX", "n_samples": 4, "n_kept": 4, "device": "cpu"}
    plain = api.denoise(noisy, model, **settings)
    kept = api.denoise(noisy, model, **settings, keep_brightness=6)
    wrong = [
        np.abs(ndimage.gaussian_filter(noisy - one, 6)).mean()
        for one in (plain.mean, kept.mean)
    ]
    assert wrong[1] < 0.7 * wrong[0]
    np.testing.assert_allclose(kept.samples, plain.samples, rtol=1e-3, atol=1)
    np.testing.assert_allclose(kept.deviation, plain.deviation, rtol=1e-2, atol=1)


def test_what_views_drop_at_the_end_of_a_tile_does_not_spread(noisy):
    ramp = 0.02 * noisy[:, :125] + np.linspace(0, 30_000, 125)
    recipe = tiny_recipe(max_steps=300).changed({"n_levels": 4})  # views drop 3 pixels
    *_, last = api.prepare_run([api.Image(ramp, "YX")], recipe).run()
    settings = {"axes": "YX", "n_samples": 8, "device": "cpu", "keep_brightness": 4}
    once = api.denoise(ramp, last.result, **settings, test_time_views=False).mean
    views = api.denoise(ramp, last.result, **settings).mean
    difference = np.abs(views - once).mean(0)
    assert difference[-8:].max() < 2 * difference[20:-20].max()


def test_tiles_leave_no_seams(model, noisy):
    settings = {"axes": "YX", "n_samples": 2, "device": "cpu", "keep_brightness": 2}
    whole = api.denoise(noisy, model, **settings, test_time_views=False).mean
    tiled = api.denoise(
        noisy, model, **settings, test_time_views=False, tile_size=48
    ).mean
    np.testing.assert_allclose(tiled, whole, atol=0.01 * whole.std())


def test_results_in_the_grey_levels_of_targets_are_refused(noisy):
    image, target = api.Image(noisy, "YX"), api.Image(3 * noisy + 5, "YX")
    job = api.prepare_run([image], tiny_recipe("care"), targets=[target])
    *_, last = job.run()
    with pytest.raises(BadInputError, match="brightness of the clean images"):
        api.denoise(noisy, last.result, axes="YX", keep_brightness=3)


def test_noise2void_keeps_the_brightness_too(noisy):
    *_, last = api.prepare_run([api.Image(noisy, "YX")], tiny_recipe("n2v")).run()
    plain = api.denoise(noisy, last.result, axes="YX").mean
    kept = api.denoise(noisy, last.result, axes="YX", keep_brightness=5).mean
    expected = plain + ndimage.gaussian_filter(noisy - plain, 5, radius=15)
    middle = (slice(24, -24), slice(24, -24))
    np.testing.assert_allclose(kept[middle], expected[middle], atol=0.02 * noisy.std())


def test_a_blur_is_in_pixels_of_the_image_for_a_model_of_grids(noisy):
    spec = DataSpec(
        ndim=2, n_channels=1, normalization=Normalization(mean=(0.0,), std=(1.0,))
    )
    config = PredictionConfig(keep_brightness=6)
    assert blur_of(config, spec) == 6
    assert blur_of(config, spec.model_copy(update={"grid": 3})) == 2


def test_the_methods_paragraph_says_it(model):
    said = methods_paragraph(model, PredictionConfig(keep_brightness=4))
    assert "blurred by a Gaussian with a deviation of 4 pixels" in said
    assert "blurred" not in methods_paragraph(model, PredictionConfig())
