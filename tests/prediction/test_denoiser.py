from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import zarr

from helpers import build
from napari_cosdd import api
from napari_cosdd.errors import BadInputError, BadModelFileError
from napari_cosdd.events import Denoised, SampleDone, TileDone
from napari_cosdd.images.image import Image, check_pixels
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction import sampling
from napari_cosdd.prediction.generate import generate_images, redraw_noise
from napari_cosdd.prediction.tiles import tiles_for
from napari_cosdd.settings.prediction import PredictionConfig


def test_mean_and_deviation_are_those_of_the_samples(model, noisy):
    result = api.denoise(noisy, model, axes="YX", n_samples=6, n_kept=6)
    assert result.samples.shape == (6, *noisy.shape)
    np.testing.assert_allclose(result.mean, result.samples.mean(0), rtol=1e-4)
    deviation = result.samples.std(0)  # of mirrored pairs
    np.testing.assert_allclose(result.deviation, deviation, rtol=1e-2, atol=1e-2)
    assert result.deviation.max() > 0


def test_the_seed_decides_and_the_batch_does_not(model, noisy):
    a = api.denoise(noisy, model, n_samples=5, batch_size=5).mean
    b = api.denoise(noisy, model, n_samples=5, batch_size=2).mean
    c = api.denoise(noisy, model, n_samples=5, seed=1).mean
    np.testing.assert_allclose(a, b, rtol=1e-5)
    assert not np.allclose(a, c)


@pytest.mark.parametrize("axes", ["TCYX", "CTYX", "YXTC"])
def test_axes_come_back_as_they_were(model, noisy, axes):
    crop = noisy[:40, :50]
    shape = [{"T": 2, "C": 1, "Y": 40, "X": 50}[a] for a in axes]
    order = [a for a in axes if a in "YX"]
    image = np.broadcast_to(
        crop.reshape(
            [n if a in order else 1 for a, n in zip(axes, shape, strict=True)]
        ),
        shape,
    )
    result = api.denoise(image, model, axes=axes, n_samples=2)
    plain = api.denoise(crop, model, n_samples=2)
    assert result.mean.shape == tuple(shape)
    index = tuple(slice(None) if a in order else 0 for a in axes)
    np.testing.assert_allclose(result.mean[index], plain.mean, rtol=1e-5)


def test_whole_numbers_can_be_asked_for(model, noisy):
    image = Image(noisy.clip(0, 60000).astype(np.uint16), "YX")
    config = PredictionConfig(n_samples=2, n_kept=1)
    *_, last = api.denoising(model, image, config, dtype="same")
    assert last.result.mean.dtype == last.result.samples.dtype == np.uint16
    assert last.result.deviation.dtype == np.float32


def test_large_images_are_read_tile_by_tile(model, noisy, tmp_path):
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=noisy.shape, dtype="f4", chunks=(32, 32)
    )
    array[...] = noisy
    lazy = api.denoise(Image(array, "YX"), model, n_samples=2, tile_size=32, margin=16)
    eager = api.denoise(noisy, model, n_samples=2, tile_size=32, margin=16)
    np.testing.assert_array_equal(lazy.mean, eager.mean)


def test_stopping_ends_without_a_result(model, noisy):
    image = api.as_images(noisy)[0]
    config = PredictionConfig(n_samples=50, batch_size=1)
    events, seen = [], 0

    def stop():
        return seen >= 3

    for event in api.denoising(model, image, config, stop=stop):
        seen += isinstance(event, SampleDone)
        events.append(event)
    assert seen == 3
    assert not any(isinstance(e, (TileDone, Denoised)) for e in events)


def test_what_the_model_is_not_for_is_refused(model, noisy):
    with pytest.raises(BadModelFileError, match="for 1 channels, the image has 2"):
        api.denoise(np.stack([noisy, noisy]), model, axes="CYX")
    with pytest.raises(BadInputError, match="without a direct denoiser"):
        api.denoise(noisy, model, direct=True)
    holed = noisy.copy()
    holed[3, 4] = np.nan
    with pytest.raises(BadInputError, match="1 of 12288 pixels are not finite"):
        api.denoise(holed, model)
    assert np.isfinite(
        api.denoise(holed, model, fill="missing", n_samples=2).mean
    ).all()
    with pytest.raises(BadInputError, match="n_samples"):
        api.denoise(noisy, model, n_samples=0)


def test_direct_mode_takes_one_pass(noisy):
    method = build("cosdd", direct_denoiser=True).eval()
    direct = TrainedModel("cosdd", method, api.Recipe().training)
    result = api.denoise(noisy / 1000, direct, direct=True)
    assert result.deviation is None
    assert len(result.samples) == 0
    assert isinstance(method, COSDD)


def test_generated_images_have_the_scale_of_the_data(model):
    clean, drawn = generate_images(model, 3, 40, seed=0)
    scale = model.spec.normalization
    moved = scale.model_copy(update={"mean": (1e6,), "std": scale.std})
    method = deepcopy(model.method)
    method.spec = model.spec.model_copy(update={"normalization": moved})
    there = generate_images(replace(model, method=method), 3, 40, seed=0)
    for here, far in zip((clean, drawn), there, strict=True):
        shift = np.asarray(far.data, float) - here.data
        np.testing.assert_allclose(shift, 1e6 - scale.mean[0], rtol=1e-5)
    assert np.asarray(clean.data).shape == np.asarray(drawn.data).shape
    assert clean.data.shape[:2] == (3, 1)
    again, _ = generate_images(model, 3, 40, seed=0)
    np.testing.assert_array_equal(clean.data, again.data)


def test_redrawn_noise_is_fresh_and_of_the_same_shape(model, noisy):
    first, second = redraw_noise(model, Image(noisy, "YX"), 2, seed=0)
    assert first.data.shape == noisy.shape
    assert first.axes == "YX"
    assert not np.allclose(first.data, second.data)
    other, _ = redraw_noise(model, Image(noisy[::-1].copy(), "YX"), 2, seed=0)
    assert not np.allclose(first.data, other.data)  # on the signal of the image


def test_mirrored_pairs_make_a_better_mean_of_as_many_samples(model, noisy):
    part = noisy[:64, :64]
    true = api.denoise(part, model, n_samples=300, antithetic=False, seed=9).mean

    def error(**settings):
        made = [api.denoise(part, model, seed=s, **settings).mean for s in range(4)]
        return float(np.mean([(m - true) ** 2 for m in made]))

    plain, pairs = (error(n_samples=8, antithetic=a) for a in (False, True))
    assert pairs < 0.6 * plain


def test_the_first_half_of_the_samples_is_not_mirrored(model, noisy):
    part = noisy[:64, :64]
    plain = api.denoise(part, model, n_samples=4, n_kept=4, antithetic=False)
    pairs = api.denoise(part, model, n_samples=7, n_kept=7, batch_size=3)
    np.testing.assert_allclose(pairs.samples[:4], plain.samples, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(pairs.mean, pairs.samples.mean(0), rtol=1e-5)
    first, mirrored = pairs.samples[0] - true_mean(model, part), pairs.samples[4]
    away = mirrored - true_mean(model, part)
    assert np.corrcoef(first.ravel(), away.ravel())[0, 1] < -0.3


def test_a_shifted_image_has_the_shifted_mean(model, noisy, monkeypatch):
    """More nearly, whatever pixels the network's strides put together."""
    one_way = replace(model, reversible=False)
    monkeypatch.setattr(
        sampling.PositionNoise, "__call__", lambda _, __, s: torch.zeros(s)
    )

    def odd(**settings):
        a, b = (
            api.denoise(noisy[:64, x : x + 64], one_way, n_samples=8, **settings).mean
            for x in (0, 1)
        )
        return np.abs(a[:, 17:49] - b[:, 16:48]).max() / noisy.std()

    assert 2 * odd(test_time_views=True) < odd(test_time_views=False)


def test_views_take_turns(model, noisy):
    part = noisy[:64, :64]
    many = api.denoise(part, model, n_samples=8, n_kept=8)
    one = api.denoise(part, model, n_samples=8, n_kept=8, test_time_views=False)
    same = [np.allclose(a, b) for a, b in zip(many.samples, one.samples, strict=True)]
    assert same == [True, False, False, False] * 2


@pytest.mark.parametrize("reversible", [True, False])
def test_a_view_taken_back_is_the_image_but_for_its_last_pixels(model, reversible):
    x = torch.randn(2, 1, 8, 12)
    found = sampling.test_time_views(
        replace(model, reversible=reversible), PredictionConfig(n_samples=8)
    )
    assert [view.shifts for view in found] == [(0, 0), (1, 1), (2, 3), (3, 2)]
    for view in found:
        again = view.back(view.of(x))
        assert torch.equal(again[..., :-3, :-3], x[..., :-3, :-3])
    assert len({view.of(x).numpy().tobytes() for view in found}) == 4


def true_mean(model, part):
    return api.denoise(part, model, n_samples=200, seed=3).mean


def test_results_that_are_not_finite_are_refused(model, noisy):
    """The weights are finite, and what they give is not."""
    wild = deepcopy(model)
    with torch.no_grad():
        for weights in wild.method.parameters():
            weights.mul_(1e6)
    with pytest.raises(BadModelFileError, match="values that are not finite"):
        api.denoise(noisy, wild, axes="YX", n_samples=2)


def test_what_is_too_large_is_told_before_any_list_is_made(model):
    for shape in [(1 << 22, 1 << 22), (1 << 40, 64, 64)]:
        pixels = SimpleNamespace(shape=shape, dtype=np.dtype("u2"))
        endless = Image(pixels, "TYX"[-len(shape) :])
        with pytest.raises(BadInputError, match="are the most"):
            check_pixels(endless)
    many = SimpleNamespace(shape=(1 << 28, 64, 64), dtype=np.dtype("u2"))
    with pytest.raises(BadInputError, match="would be denoised in 268,435,456 tiles"):
        tiles_for(model, Stack(many, "TYX", 2, "movie"), PredictionConfig(tile_size=64))
