import numpy as np
import pytest
import tifffile
import zarr

from helpers import TINY, TRAINING, tiny_recipe
from napari_cosdd import api
from napari_cosdd.datasets.crops import ENOUGH
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.formats.any import read_image
from napari_cosdd.images.image import Image
from napari_cosdd.images.selection import Window, channel_from, channel_of, part_of
from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.prediction.result_files import write_prediction


@pytest.fixture
def disc():
    y, x = np.mgrid[:96, :128]
    return np.hypot(y - 45, x - 60) < 42


@pytest.mark.parametrize("given", ["10:74,20:120", (slice(10, 74), slice(20, 120))])
def test_a_rectangle_is_cut_out(noisy, given):
    part = part_of(Image(np.stack([noisy, -noisy]), "TYX"), given)
    assert part.image.selection is None
    np.testing.assert_array_equal(part.image.data[1], -noisy[10:74, 20:120])
    assert part.box == (slice(0, 2), slice(10, 74), slice(20, 120))


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_mask_is_read_from_a_file(noisy, disc, tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    if suffix == ".npy":
        np.save(path, disc.astype(np.uint8))
    else:
        tifffile.imwrite(path, disc.astype(np.uint8) * 255)
    part = part_of(Image(noisy, "YX"), str(path))
    assert part.image.data.shape == part.image.selection.shape
    assert part.image.selection.sum() == disc.sum()
    np.testing.assert_array_equal(part.image.data[part.image.selection], noisy[disc])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("0:97,0:128", r"0:97, 0:128 \(y, x\) is not inside a, which has 96 × 128"),
        ("20:10,0:5", "is not inside"),
        (np.ones((5, 5)), "the mask has 5 × 5 pixels, and a 96 × 128"),
        (np.zeros((96, 128)), "nothing of a is in the region"),
        ("nowhere.tif", "nowhere.tif"),
    ],
)
def test_what_does_not_fit_is_refused(noisy, given, words):
    with pytest.raises(BadInputError, match=words):
        part_of(Image(noisy, "YX", "a"), given)


def test_a_window_reads_what_is_inside(tmp_path):
    data = np.arange(3 * 40 * 50).reshape(3, 40, 50)
    array = zarr.create_array(tmp_path / "a.zarr", data=data)
    cut, box = data[:, 5:30, 7:49], (slice(0, 3), slice(5, 30), slice(7, 49))
    window = Window(array, box)
    assert window.shape == cut.shape
    for index in [(1,), (-1, slice(2, 9)), (slice(0, 2), 3, slice(None, -2))]:
        np.testing.assert_array_equal(window[index], cut[index])


def test_what_is_outside_a_mask_is_not_learned_from(noisy, disc):
    """A bar of text and an empty border change neither scale nor noise nor weights."""
    spoiled = np.where(disc, noisy, 5e4)
    recipe = tiny_recipe().changed({"noise_axis": "auto", "receptive_field": None})
    jobs = [
        api.prepare_run([Image(image, "YX")], recipe, region=disc)
        for image in (noisy, spoiled)
    ]
    assert jobs[0].crops.spec == jobs[1].crops.spec
    inside = noisy[disc].astype(float)
    assert jobs[0].crops.spec.normalization.mean[0] == pytest.approx(inside.mean())
    assert jobs[0].recipe == jobs[1].recipe
    crops = jobs[0].crops.batch(40, np.random.default_rng(0))
    shares = crops.weight.mean((1, 2, 3))
    assert shares.min() >= ENOUGH
    assert shares.mean() < 1


def test_a_region_is_denoised_and_the_rest_stays(noisy, disc):
    model = api.fit(noisy, axes="YX", region=disc, **TINY["cosdd"], **TRAINING)
    result = api.denoise(noisy, model, axes="YX", n_samples=2, n_kept=1, region=disc)
    for array in (result.mean, result.samples[0]):
        np.testing.assert_array_equal(array[~disc], noisy[~disc])
        assert np.abs(array - noisy)[disc].mean() > 0.05 * noisy.std()
    assert (result.deviation[~disc] == 0).all()
    assert (result.deviation[disc] > 0).all()


def test_nan_outside_the_region_harms_nothing(noisy, disc):
    spoiled = np.where(disc, noisy, np.nan)
    spoiled[0, :40] = -3.4e38
    model = api.fit(spoiled, axes="YX", region=disc, **TINY["cosdd"], **TRAINING)
    assert np.isfinite(np.array(model.history["loss"], float)).all()
    result = api.denoise(spoiled, model, axes="YX", n_samples=2, region=disc)
    assert np.isfinite(result.mean[disc]).all()
    np.testing.assert_array_equal(result.mean[~disc], spoiled[~disc].astype("f4"))
    spoiled[40, 60] = np.nan  # inside the region
    with pytest.raises(BadInputError, match="1 of 5521 pixels are not finite"):
        api.denoise(spoiled, model, axes="YX", n_samples=2, region=disc)


def test_validation_has_its_share_of_the_region(noisy):
    """Whatever its form: here nearly all of it is in the middle."""
    mask = np.zeros(noisy.shape, bool)
    mask[30:66, 4:124] = True
    mask[0, 60] = mask[95, 60] = True
    job = api.prepare_run([Image(noisy, "YX")], tiny_recipe(), region=mask)
    weight = job.crops.validation().weight
    assert weight is not None
    assert weight.mean() > 0.1


def test_lazy_images_can_be_cut_channel_by_channel(noisy, tmp_path):
    both = np.stack([noisy, 2 * noisy])
    array = zarr.create_array(tmp_path / "a.zarr", data=both)
    image = channel_of(Image(array, "CYX"), 1)
    part = part_of(image, "10:74,20:120").image
    np.testing.assert_array_equal(np.asarray(part.data)[0], 2 * noisy[10:74, 20:120])


def test_a_mask_needs_planes(noisy, disc):
    with pytest.raises(BadInputError, match="needs planes, not lines"):
        api.fit(noisy, axes="YX", ndim=1, region=disc, noise_axis="x", **TRAINING)


def two_channels(noisy):
    data = np.stack([noisy, 2 * noisy + 50]).astype(np.float32)
    return Image(data, "CYX", channels=("DAPI", "GFP"))


def test_each_channel_by_itself_keeps_axes_and_names_in_files(noisy, tmp_path):
    settings = TINY["cosdd"] | TRAINING
    image = two_channels(noisy)
    model = api.fit(image, channel="each", **settings)
    assert model.spec.n_channels == 1
    assert model.trained_on.n_images == 2
    found = api.denoise(image, model, channel="each", n_samples=2, device="cpu")
    assert found.mean.shape == image.data.shape
    alone = api.denoise(image, model, channel=0, n_samples=2, device="cpu")
    np.testing.assert_allclose(found.mean[0], alone.mean[0], rtol=1e-5)
    assert not np.allclose(found.mean[0], found.mean[1])
    write_prediction({MEAN: tmp_path / "mean.tif"}, found, {})
    written = read_image(tmp_path / "mean.tif")
    assert (written.axes, written.channels) == ("CYX", ("DAPI", "GFP"))


def test_lazy_results_and_checks_take_a_channel_too(noisy):
    image = two_channels(noisy)
    model = api.fit(image, channel=1, **TINY["cosdd"] | TRAINING)
    config = api.PredictionConfig(n_samples=2, device="cpu")
    alone = api.denoise(image, model, channel=1, n_samples=2, device="cpu")
    lazy = api.denoise_lazily(model, image, config, channel=1)
    np.testing.assert_allclose(lazy.compute(), alone.mean, rtol=1e-5)
    each = api.denoise_lazily(model, image, config, channel="each")
    assert each.shape == image.data.shape
    of_one = api.check(image, model, channel=1, device="cpu", reference=image)
    of_cut = api.check(image.data[1], model, device="cpu", reference=image.data[1])
    assert of_one.against_reference == of_cut.against_reference
    plain = api.check(image, model, channel=1, reference=image.data[1], device="cpu")
    assert plain.against_reference == of_cut.against_reference
    one = Image(image.data[1:], "CYX")  # as a result of one channel is
    single = api.check(image.data[1], model, reference=one, device="cpu")
    assert single.against_reference == of_cut.against_reference
    with pytest.raises(BadInputError, match="has 2 channels, numbered from 0; got 2"):
        api.check(image, model, channel=2)
    with pytest.raises(BadInputError, match="the reference has axes"):
        api.check(image, model, channel=1, reference=image.data[1, :-1])


def test_the_noise_of_one_channel_is_analyzed(noisy):
    rng = np.random.default_rng(0)
    white = rng.normal(size=noisy.shape)
    both = Image(np.stack([noisy, white]), "CYX")
    first, second = (api.analyze(both, channel=c).correlation for c in (0, 1))
    np.testing.assert_array_equal(first.along_x, api.analyze(noisy).correlation.along_x)
    np.testing.assert_array_equal(
        second.along_x, api.analyze(white).correlation.along_x
    )


@pytest.mark.parametrize("axes", ["TCYX", "CTYX"])
def test_frames_of_each_channel_are_compared_with_those_of_the_same(axes):
    rng = np.random.default_rng(0)
    frames = rng.normal([[[[0]], [[500]]]] * 6, 1.0, (6, 2, 64, 64))
    given = Image(frames if axes == "TCYX" else frames.swapaxes(0, 1), axes)
    found = api.analyze(given, frames=True, channel="each")
    assert found.facts.axis == "none"
    assert found.correlation.variance == pytest.approx(1.0, 0.1)


def test_an_image_without_channels_is_taken_as_it_is(noisy):
    image = Image(noisy, "YX")
    assert channel_of(image, "each") is image
    with pytest.raises(BadInputError, match="axes S and T already"):
        channel_of(Image(np.zeros((1, 1, 1, 2, 8, 8)), "STZCYX"), "each")


@pytest.mark.parametrize("text", ["-1", "all", "1.5"])
def test_a_channel_is_a_number_or_each(text):
    assert channel_from("2") == 2
    assert channel_from("each") == "each"
    with pytest.raises(BadInputError, match="number from 0, or 'each'"):
        channel_from(text)
