"""The autoregressive noise model against noise whose distribution is known."""

import math

import numpy as np
import pytest
import torch

from napari_cosdd import api
from napari_cosdd.datasets.simulate import ar1
from napari_cosdd.errors import BadInputError
from napari_cosdd.noise_models.calibrate import calibrate_pairs, pairs_of_frames

RHO, DEVIATION, DARK = 0.8, 12.0, 100.0


def dark(shape=(256, 256), seed=0):
    return DARK + DEVIATION * ar1(shape, RHO, np.random.default_rng(seed))


def calibrated(image):
    return api.calibrate(image, axes="YX", kind="autoregressive")


@pytest.fixture(scope="module")
def model():
    return calibrated(dark())


def exact(noise):
    """Log-likelihood of AR(1) noise, nats per pixel, without the first of each row."""
    scale = DEVIATION * math.sqrt(1 - RHO**2)
    step = (noise[:, 1:] - RHO * noise[:, :-1]) / scale
    constant = math.log(scale) + 0.5 * math.log(2 * math.pi)
    return float(np.mean(-0.5 * step**2 - constant))


def test_the_likelihood_is_nearly_that_of_the_known_noise(model):
    noise = dark(seed=1) - DARK
    x = torch.from_numpy(500 + noise).float()
    s = torch.full_like(x, 500)
    found = float(model.log_prob(x, s)[:, 1:].mean())
    independent = -math.log(DEVIATION) - 0.5 * math.log(2 * math.pi * math.e)
    assert found == pytest.approx(exact(noise), abs=0.02)
    assert found > independent + 0.4
    with torch.no_grad():  # the same at every signal
        assert torch.allclose(model.log_prob(x, s), model.log_prob(x - 300, s - 300))


def test_it_finds_axis_and_reach(model):
    assert model.config.axis == "x"
    assert 5 <= model.config.receptive_field <= 60
    assert model.config.scale == pytest.approx(DEVIATION, rel=0.05)
    turned = calibrated(dark((128, 160)).T)
    assert turned.config.axis == "y"
    x = torch.from_numpy(dark((64, 48), seed=2).T.copy()).float()
    assert turned.log_prob(x, torch.full_like(x, DARK)).shape == (48, 64)


def test_only_earlier_pixels_along_the_axis_count(model):
    x = torch.full((1, 1, 6, 40), 500.0, requires_grad=True)
    s = torch.full_like(x, 490)
    model.log_prob(x, s)[0, 0, 3, 20].backward()
    seen = x.grad[0, 0] != 0
    assert seen[3, 19:21].all()
    assert not seen[3, 21:].any()
    assert not seen[[0, 1, 2, 4, 5]].any()


def test_samples_and_ranks_are_of_the_noise(model):
    s = torch.full((2, 1, 64, 96), 900.0)
    x = model.sample(s, torch.Generator().manual_seed(0))
    noise = (x - s)[:, 0].numpy()
    assert noise.std() == pytest.approx(DEVIATION, rel=0.1)
    lag = (noise[..., 20:-1] * noise[..., 21:]).mean() / noise.var()
    assert lag == pytest.approx(RHO, abs=0.06)
    ranks = model.cdf(torch.from_numpy(dark((64, 200), 3)).float(), torch.tensor(DARK))
    assert float(ranks.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(ranks.std()) == pytest.approx(12**-0.5, abs=0.02)
    independent = np.corrcoef(ranks[:, 21:-1].ravel(), ranks[:, 22:].ravel())[0, 1]
    assert abs(independent) < 0.05


def test_it_survives_its_file_and_frames_serve(tmp_path):
    rng = np.random.default_rng(0)
    scene = rng.uniform(50, 500, (96, 96))
    noise = [DEVIATION * ar1(scene.shape, 0.7, rng) for _ in range(9)]
    frames = scene + np.stack(noise)
    path = tmp_path / "camera.safetensors"
    model = api.calibrate(frames, axes="TYX", kind="autoregressive", output=path)
    same = api.load_noise_model(path)
    x, s = torch.from_numpy(frames[0]).float(), torch.from_numpy(scene).float()
    assert torch.equal(model.log_prob(x, s), same.log_prob(x, s))
    assert not any(p.requires_grad for p in same.parameters())
    assert same.signal_range[1] > 400


def test_noise_of_both_axes_and_holes_are_refused():
    rng = np.random.default_rng(0)
    both = ar1((160, 160), 0.6, rng) + ar1((160, 160), 0.6, rng).T
    with pytest.raises(BadInputError, match="for noise along one axis"):
        calibrated(both)
    holes = np.stack([dark((64, 64), k) for k in range(8)])
    holes[3, 5, 5] = np.nan
    with pytest.raises(BadInputError, match="needs whole images"):
        calibrate_pairs(*pairs_of_frames(holes), "autoregressive")
