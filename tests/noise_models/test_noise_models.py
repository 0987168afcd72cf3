"""Noise models recover a known camera, and survive their file."""

import numpy as np
import pytest
import torch
from scipy import stats

from napari_cosdd import api
from napari_cosdd.errors import BadInputError, BadModelFileError
from napari_cosdd.images.image import Image
from napari_cosdd.noise_models.calibrate import (
    FRAMES,
    calibrate_pairs,
    outside_range,
    pairs_of_frames,
)
from napari_cosdd.noise_models.measure import measure, misfit
from napari_cosdd.noise_models.poisson_gauss import PoissonGaussNoise
from napari_cosdd.noise_models.registry import INDEPENDENT

GAIN, READ, OFFSET = 2.0, 20.0, 100.0
#: Level without a photon, and mean height of a photon, of a detector that counts.
DARK, PULSE = 3.0, 18.0


def camera(s, rng):
    """A Poisson-Gauss camera, grey levels."""
    shot = GAIN * rng.poisson((s - OFFSET) / GAIN)
    return OFFSET + shot + rng.normal(0, READ, s.shape)


def deviation(s):
    return np.sqrt(GAIN * (s - OFFSET) + READ**2)


@pytest.fixture(scope="module", params=sorted(INDEPENDENT))
def model(request):
    rng = np.random.default_rng(0)
    s = rng.uniform(OFFSET, 3000, 400_000)
    return calibrate_pairs(s, camera(s, rng), request.param)


@pytest.mark.parametrize("s", [300.0, 1500.0, 2700.0])
def test_density_integrates_to_one_and_is_the_cameras(model, s):
    x = torch.linspace(-2000, 6000, 400_001, dtype=torch.float64).float()
    p = model.log_prob(x, torch.tensor(s)).exp().double()
    step = 8000 / 400_000
    mean = float((p * x).sum() * step)
    spread = float(((p * (x - mean) ** 2).sum() * step) ** 0.5)
    assert float(p.sum() * step) == pytest.approx(1, abs=1e-3)
    assert mean == pytest.approx(s, abs=0.1 * deviation(s))
    assert spread == pytest.approx(deviation(s), rel=0.06)


def test_samples_and_cdf_are_of_the_density(model):
    s = torch.full((50_000,), 1500.0)
    x = model.sample(s, torch.Generator().manual_seed(0))
    assert float(x.std()) == pytest.approx(deviation(1500.0), rel=0.06)
    ranks = model.cdf(x, s)
    assert float(ranks.min()) >= 0
    assert float(ranks.max()) <= 1
    assert float(ranks.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(ranks.std()) == pytest.approx(12**-0.5, abs=0.01)  # uniform


def test_log_prob_broadcasts_and_is_differentiable_in_the_signal(model):
    x = torch.full((2, 1, 3, 4), 1400.0)
    s = torch.full((2, 5, 3, 4), 1450.0, requires_grad=True)
    found = model.log_prob(x, s)
    assert found.shape == (2, 5, 3, 4)
    found.sum().backward()
    assert torch.isfinite(s.grad).all()


def test_far_from_all_pairs_the_histograms_gradient_points_to_the_pixel():
    rng = np.random.default_rng(0)
    s = rng.uniform(OFFSET, 3000, 50_000)
    model = calibrate_pairs(s, camera(s, rng), "histogram")
    for x, sign in ((9000.0, 1), (-6000.0, -1)):
        signal = torch.tensor([1000.0], requires_grad=True)
        model.log_prob(torch.tensor([x]), signal).sum().backward()
        assert torch.isfinite(signal.grad).all()
        assert float(signal.grad) * sign > 0


def counter(s, rng):
    """A detector that counts photons, with pulses of random height, grey levels."""
    photons = rng.poisson((s - DARK) / PULSE)
    pulses = rng.gamma(np.maximum(4 * photons, 1e-9), PULSE / 4)
    return np.rint(np.clip(DARK + pulses * (photons > 0), 0, 255))


@pytest.mark.parametrize("kind", ["histogram", "mixture"])
def test_pixels_without_a_photon_keep_the_dark_level(kind):
    """Their share tells the signal, though their level does not move with it."""
    rng = np.random.default_rng(0)
    s = DARK + rng.exponential(12, 400_000).clip(max=120)
    found = calibrate_pairs(s, counter(s, rng), kind)
    for signal in (DARK + 4, DARK + 15, DARK + 40):
        same = torch.full((20_000,), float(signal))
        x = found.sample(same, torch.Generator().manual_seed(0)).numpy()
        exact = counter(same.double().numpy(), rng)
        dark = np.abs(x - DARK) < 1.5
        assert dark.mean() == pytest.approx((exact == DARK).mean(), abs=0.03)
        assert x.mean() == pytest.approx(exact.mean(), abs=0.1 * exact.std())
        assert x.std() == pytest.approx(exact.std(), rel=0.1)
    levels = torch.linspace(DARK + 1, DARK + 80, 60)
    with torch.no_grad():  # smooth in the signal: no spike that moves through x
        log_prob = found.log_prob(torch.tensor(DARK), levels)
    assert float(torch.diff(log_prob).max()) < 0.1
    exact = -(levels - DARK) / PULSE
    assert torch.allclose(log_prob - log_prob[0], exact - exact[0], atol=0.5)


def test_a_kind_that_does_not_describe_the_noise_is_warned_of():
    """Gaussian noise of the right variance is not that of a detector that counts."""
    rng = np.random.default_rng(0)
    s = DARK + rng.exponential(12, (1, 300, 300)).clip(max=120)
    clean, noisy = api.Image(s[0], "YX"), api.Image(counter(s, rng)[0], "YX")
    wrong = measure([noisy], clean, "poisson_gauss")
    assert wrong.misfit > 0.25
    assert "the mixture of Gaussians describes most kinds" in wrong.warning
    assert measure([noisy], clean, "histogram").warning is None


def test_a_kind_that_describes_the_noise_is_not_warned_of(model):
    rng = np.random.default_rng(2)
    s = rng.uniform(OFFSET, 3000, 100_000)
    assert misfit(model, s, camera(s, rng)) < 0.05


def test_a_few_pixels_below_the_line_of_variances_do_not_turn_it():
    """The fit to single pixels gave them nearly all weight, as on the TIRF repeats."""
    rng = np.random.default_rng(0)
    s = np.append(98 + rng.exponential(6, 200_000), rng.uniform(89, 94, 800))
    variance = np.where(s < 96, 16, 5 + 2.5 * (s - 98).clip(min=0))
    x = s + rng.normal(0, np.sqrt(variance))
    found = calibrate_pairs(s, x, "poisson_gauss")
    assert found.config.gain == pytest.approx(2.5, rel=0.15)


def test_the_file_gives_the_same_model(model, tmp_path):
    path = tmp_path / "camera.safetensors"
    api.save_noise_model(model, path)
    loaded = api.load_noise_model(path)
    x, s = torch.tensor([900.0, 1100.0]), torch.tensor([1000.0, 1000.0])
    assert torch.equal(loaded.log_prob(x, s), model.log_prob(x, s))
    assert loaded.signal_range == model.signal_range
    with pytest.raises(BadModelFileError, match="holds a noise model, not a denoiser"):
        api.load(path)


def test_frames_are_taken_for_pairs_with_their_mean():
    rng = np.random.default_rng(1)
    scene = rng.uniform(OFFSET, 3000, (64, 64))
    frames = np.stack([camera(scene, rng) for _ in range(40)])
    found = calibrate_pairs(*pairs_of_frames(frames), "mixture")
    x = found.sample(torch.full((20_000,), 1500.0), torch.Generator().manual_seed(0))
    assert float(x.std()) == pytest.approx(deviation(1500.0), rel=0.06)
    with pytest.raises(BadInputError, match=f"fewer than {FRAMES}"):
        pairs_of_frames(frames[:4])


@pytest.mark.parametrize(
    ("signal", "noisy", "words"),
    [
        (np.ones((4, 4)), np.ones((4, 5)), "differ in shape"),
        (np.ones((9, 9)), np.zeros((9, 9)), "81 pairs of pixels are too few"),
        (np.ones((200, 200)), np.ones((200, 200)), "there is no noise"),
        (np.full((200, 200), np.nan), np.ones((200, 200)), "0 pairs"),
    ],
)
def test_pairs_that_say_nothing_are_refused(signal, noisy, words):
    with pytest.raises(BadInputError, match=words):
        calibrate_pairs(signal, noisy, "histogram")


def test_images_outside_of_what_was_measured_are_warned_of(model):
    assert outside_range(model, (150, 1000, 2800)) is None
    assert outside_range(model, (OFFSET - 2 * READ, 3000 + 2 * deviation(3000))) is None
    assert "says nothing beyond" in outside_range(model, (150, 1000, 9000))


def test_a_single_noisy_image_tells_photons_and_readout(tmp_path):
    """No calibration frames: the variance at levels of the signal is measured on it."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:512, :512]
    scene = OFFSET + 1200 * (1 + np.sin(x / 60) * np.cos(y / 75))
    noisy = camera(scene, rng)
    path = tmp_path / "camera.safetensors"
    model = api.calibrate(noisy, kind="poisson_gauss", axes="YX", output=path)
    for s in (300.0, 1500.0, 2300.0):
        found = float(model._deviation(torch.tensor(s)))
        assert found == pytest.approx(deviation(s), rel=0.05)
    again = api.load_noise_model(path)
    assert again.config == model.config
    with pytest.raises(BadInputError, match="expected repeats of a scene"):
        api.calibrate(noisy, kind="mixture", axes="YX")


def test_a_variance_that_falls_with_the_signal_is_that_of_no_photons():
    signal = np.linspace(0, 1000, 20)
    model = PoissonGaussNoise.of_curve(signal, 100 - 0.05 * signal)
    assert model.config.gain == 0
    assert model.config.readout == pytest.approx(75, rel=0.2)
    with pytest.raises(BadInputError, match="fewer than two levels"):
        PoissonGaussNoise.of_curve(signal[:1], signal[:1])


def test_an_unknown_kind_is_refused():
    with pytest.raises(BadInputError, match="no noise model 'spline'"):
        calibrate_pairs(np.arange(2e4), np.arange(2e4) + 1, "spline")


@pytest.mark.parametrize("kind", ["mixture", "histogram"])
def test_repeats_of_few_photons_have_whole_grey_levels(kind):
    """The stretched frames do not, but they come from a detector that counts."""
    rng = np.random.default_rng(0)
    scene = rng.uniform(0.2, 6, (64, 64))
    movie = Image(rng.poisson(scene, (100, 64, 64)).astype(np.uint16), "TYX")
    found = measure([movie], None, kind).model
    counts = torch.arange(0, 12.0)
    for signal in (1.0, 3.0, 5.0):
        s = torch.full_like(counts, signal)
        shares = found.cdf(counts + 0.5, s) - found.cdf(counts - 0.5, s)
        expected = stats.poisson.pmf(counts.numpy(), signal)
        assert 0.5 * np.abs(shares.numpy() - expected).sum() < 0.1
