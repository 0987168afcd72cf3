import numpy as np
import pytest
import torch
from scipy import ndimage

from helpers import tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import BadInputError
from napari_cosdd.prediction.brightness import blurred, with_brightness_of


@pytest.mark.parametrize("shape", [(40,), (40, 50), (9, 30, 20)])
def test_the_blur_is_that_of_scipy(shape):
    x = np.random.default_rng(0).normal(size=shape)
    ours = blurred(torch.from_numpy(x)[None, None], 2.0)[0, 0].numpy()
    theirs = ndimage.gaussian_filter(x, 2.0, mode="mirror", radius=6)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_an_axis_shorter_than_the_kernel_is_blurred(noisy):
    flat = torch.full((2, 1, 3, 40), 7.0)
    torch.testing.assert_close(blurred(flat, 4.0), flat)


def test_a_bias_that_is_wider_than_the_blur_is_brought_back():
    y, x = np.mgrid[:96, :96]
    cell = 100 * np.exp(-0.5 * ((y - 48) ** 2 + (x - 48) ** 2) / 12**2)
    noise = np.random.default_rng(0).normal(0, 30, cell.shape)
    truth, noisy = (torch.from_numpy(a)[None, None] for a in (cell, cell + noise))
    result = 0.8 * truth  # a cell that was drawn towards the background
    kept = with_brightness_of(noisy, result, 4.0)
    inside = torch.from_numpy(cell > 50)[None, None]
    slope = float((kept * truth)[inside].sum() / (truth**2)[inside].sum())
    assert 0.97 < slope < 1.01
    assert float((kept - truth).std()) < float((result - truth).std())


def test_samples_and_mean_have_the_brightness_of_the_noisy_image(model, noisy):
    settings = {"axes": "YX", "n_samples": 4, "n_kept": 4, "device": "cpu"}
    plain = api.denoise(noisy, model, **settings)
    kept = api.denoise(noisy, model, **settings, keep_brightness=6)
    for before, after in zip(
        [plain.mean, *plain.samples], [kept.mean, *kept.samples], strict=True
    ):
        wrong = [
            np.abs(ndimage.gaussian_filter(noisy - one, 6))[20:-20, 20:-20].mean()
            for one in (before, after)
        ]
        assert wrong[1] < 0.7 * wrong[0]
    np.testing.assert_allclose(kept.mean, np.mean(kept.samples, 0), rtol=1e-4)


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
    with pytest.raises(BadInputError, match="brightness of the noisy image"):
        api.denoise(noisy, last.result, axes="YX", keep_brightness=3)


def test_noise2void_keeps_the_brightness_too(noisy):
    *_, last = api.prepare_run([api.Image(noisy, "YX")], tiny_recipe("n2v")).run()
    plain = api.denoise(noisy, last.result, axes="YX").mean
    kept = api.denoise(noisy, last.result, axes="YX", keep_brightness=5).mean
    expected = plain + ndimage.gaussian_filter(noisy - plain, 5, radius=15)
    middle = (slice(24, -24), slice(24, -24))
    np.testing.assert_allclose(kept[middle], expected[middle], atol=0.02 * noisy.std())
