import numpy as np
import pytest
from scipy import ndimage

from helpers import TINY, TRAINING
from napari_cosdd import api
from napari_cosdd.datasets.simulate import cells
from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Denoised
from napari_cosdd.images.grids import join_grids, split_grids
from napari_cosdd.images.image import Image
from napari_cosdd.methods.advice import advise
from napari_cosdd.remedies import Remedy
from napari_cosdd.settings.prediction import PredictionConfig


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("step", [2, 3, 4])
@pytest.mark.parametrize(("axes", "shape"), [("YX", (25, 30)), ("CYX", (2, 24, 31))])
def test_grids_hold_every_pixel_once(step, axes, shape):
    image = Image(rng().normal(size=shape), axes)
    grids = split_grids(image, step)
    assert grids.axes == "S" + axes
    assert grids.data.shape[0] == step**2
    np.testing.assert_array_equal(
        grids.data[step + 1], _padded(image.data, step)[..., 1::step, 1::step]
    )
    total = _padded(image.data, step).sum()
    assert grids.data.sum() == pytest.approx(total)


def _padded(data, step):
    beyond = [(0, 0)] * (data.ndim - 2) + [(0, -n % step) for n in data.shape[-2:]]
    return np.pad(data, beyond, mode="symmetric")


@pytest.mark.parametrize("step", [2, 3, 4, 5])
def test_joining_averages_each_grid_once_around_a_pixel(step):
    image = Image(np.zeros((24, 30)), "YX")
    y, x = np.mgrid[:24, :30]
    ramp = Image(5.0 + 2 * y - x, "YX")
    joined = join_grids(split_grids(ramp, step).data, step, image)
    inside = (slice(step, -step),) * 2
    np.testing.assert_allclose(joined[inside], ramp.data[inside])
    for number in range(step**2):  # a grid's share is the same everywhere
        alone = np.zeros((step**2, -(-24 // step), -(-30 // step)))
        alone[number] = 1
        np.testing.assert_allclose(join_grids(alone, step, image)[inside], 1 / step**2)


def test_an_image_with_every_letter_is_refused():
    with pytest.raises(BadInputError, match="cannot be split into grids"):
        split_grids(Image(np.zeros((1, 1, 1, 4, 4)), "STZYX"), 2)


def test_smoothed_noise_is_independent_on_grids_and_leaves_the_image():
    """As registration or interpolation leaves it."""
    clean = ndimage.gaussian_filter(100 * cells((256, 256), rng(), n=12), 3)
    noise = 30 * ndimage.gaussian_filter(rng().normal(size=clean.shape), 0.8)
    noisy = clean + noise
    facts = api.analyze(noisy, axes="YX").facts
    assert facts.pattern == "both axes"
    assert 2 <= facts.grid <= 5
    assert f"grids of pixels {facts.grid} px apart" in advise(facts)
    assert Remedy.GRID in advise(facts)
    settings = {"max_steps": 30, "noise_axis": "auto", "crop_size": 48}
    model = api.fit(noisy, axes="YX", grid=facts.grid, **settings)
    assert model.spec.grid == facts.grid
    assert model.method.config.noise_axis == "none"
    result = api.denoise(noisy, model, axes="YX", n_samples=4, n_kept=1)
    assert result.mean.shape == result.deviation.shape == noisy.shape
    assert result.samples.shape == (1, *noisy.shape)
    assert (result.mean - clean).std() < 0.5 * noise.std()


def test_what_needs_whole_images_is_refused_for_a_model_of_grids(noisy, tmp_path):
    settings = TINY["cosdd"] | TRAINING | {"crop_size": 32}
    model = api.fit(noisy, axes="YX", grid=2, **settings)
    path = tmp_path / "m.safetensors"
    model.save(path)
    assert api.load(path).spec.grid == 2
    for refused in (
        lambda: api.denoise_lazily(
            model, api.one_image(noisy, "YX"), PredictionConfig()
        ),
        lambda: api.check(noisy, model, axes="YX"),
    ):
        with pytest.raises(BadInputError, match="on grids of pixels 2 px apart"):
            refused()


def test_a_stopped_prediction_shows_what_there_is(noisy):
    settings = TINY["cosdd"] | TRAINING | {"crop_size": 32}
    model = api.fit(noisy, axes="YX", grid=2, **settings)
    polls = []
    config = PredictionConfig(n_samples=2)
    events = api.denoising(
        model,
        Image(noisy, "YX"),
        config,
        stop=lambda: polls.append(1) or len(polls) > 4,
    )
    first, *rest = events
    assert not any(isinstance(event, Denoised) for event in rest)
    assert np.corrcoef(first.result.mean.ravel(), noisy.ravel())[0, 1] > 0.5
