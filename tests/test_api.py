import os
import re
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

import napari_cosdd
from helpers import TINY, TRAINING, tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import BadInputError, BadModelFileError, CosddWarning
from napari_cosdd.events import Validated, Warned
from napari_cosdd.images.formats.any import write_image
from napari_cosdd.images.image import Image
from napari_cosdd.models.compatibility import differences
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.saving import resume_path


def test_fit_denoise_load_in_five_lines(noisy, tmp_path):
    settings = TINY["cosdd"] | TRAINING
    model = napari_cosdd.fit(noisy, output=tmp_path / "m.safetensors", **settings)
    result = napari_cosdd.denoise(noisy, model, n_samples=3, n_kept=2)
    assert result.mean.shape == result.deviation.shape == noisy.shape
    assert result.samples.shape == (2, *noisy.shape)
    loaded = napari_cosdd.load(tmp_path / "m.safetensors")
    again = napari_cosdd.denoise(noisy, loaded, n_samples=3)
    np.testing.assert_array_equal(again.mean, result.mean)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
def test_an_interrupted_fit_keeps_its_files_and_goes_on(noisy, tmp_path):
    path = tmp_path / "m.safetensors"
    settings = TINY["cosdd"] | TRAINING | {"max_steps": 4000}
    before = signal.getsignal(signal.SIGINT)

    def press(event):
        if isinstance(event, Validated):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        napari_cosdd.fit(noisy, output=path, on_event=press, **settings)
    assert signal.getsignal(signal.SIGINT) is before
    stopped = napari_cosdd.load(path).history["step"][-1]
    assert stopped < 4000
    state = resume_path(path).read_bytes()
    with pytest.raises(BadInputError, match="exists already"):
        napari_cosdd.fit(noisy, output=path, **settings)
    path.unlink()
    with pytest.raises(BadInputError, match=r"interrupted training.*resume=True"):
        napari_cosdd.fit(noisy, output=path, **settings)
    assert resume_path(path).read_bytes() == state
    model = napari_cosdd.fit(noisy, output=path, resume=True, max_steps=stopped + 6)
    assert model.history["step"][-1] == stopped + 6
    assert not resume_path(path).exists()
    napari_cosdd.fit(noisy, output=path, overwrite=True, **(settings | TRAINING))
    with pytest.raises(BadInputError, match="to resume, give `output`"):
        napari_cosdd.fit(noisy, resume=True)


def test_a_training_of_another_method_goes_on_with_a_setting_of_its_own(
    noisy, tmp_path
):
    path = tmp_path / "m.safetensors"
    known = TINY["n2v"] | TRAINING | {"noise_axis": "none", "masked": 0.02}
    recipe = Recipe.preset("n2v", None).with_values(known | {"max_steps": 4000})
    job = api.TrainingRequest(recipe, noisy).prepare()
    seen = []
    for event in job.run(output=path, stop=lambda: bool(seen)):
        if isinstance(event, Validated):
            seen.append(event)
    model = napari_cosdd.fit(noisy, output=path, resume=True, max_steps=8, masked=0.02)
    assert (model.name, model.n_steps) == ("n2v", 8)


def test_what_a_notebook_shows_is_a_line(noisy, tmp_path):
    model = napari_cosdd.fit(noisy, **(TINY["cosdd"] | TRAINING))
    shown = [
        repr(napari_cosdd.analyze(noisy)),
        repr(model),
        repr(napari_cosdd.denoise(noisy, model, n_samples=2)),
        repr(napari_cosdd.check(noisy, model)),
    ]
    for text, words in zip(
        shown,
        ["flat patches: The noise runs", "COSDD for noise along x", "mean", "checks"],
        strict=True,
    ):
        assert words in text
        assert len(text) < 400
        assert "\n" not in text
    assert {"fit", "denoise", "analyze"} <= set(dir(napari_cosdd))


def test_noise_axis_and_receptive_field_are_measured_unless_given(noisy):
    image = api.as_images(noisy, "YX")
    open_ = tiny_recipe().changed({"noise_axis": "auto", "receptive_field": None})
    job = api.prepare_run(image, open_)
    assert job.recipe.settings.noise_axis == "x"
    assert job.recipe.settings.receptive_field == job.noise.facts.receptive_field
    columns = api.prepare_run([Image(noisy.T.copy(), "YX")], open_)
    assert columns.recipe.settings.noise_axis == "y"
    fixed = api.prepare_run(image, tiny_recipe().changed({"noise_axis": "none"}))
    assert fixed.noise is None


def test_folders_stacks_and_sizes_can_be_mixed(noisy, tmp_path):
    write_image(tmp_path / "a.tif", Image(noisy, "YX"))
    write_image(tmp_path / "b.tif", Image(np.stack([noisy[:64, :80]] * 3), "TYX"))
    job = api.prepare_run(api.as_images(tmp_path), tiny_recipe())
    *_, last = job.run()
    assert last.result.trained_on.n_images == 4
    assert last.result.trained_on.names == ("a", "b")


@pytest.mark.parametrize("ndim", [1, 3])
def test_lines_and_stacks_train_and_denoise(ndim):
    rng = np.random.default_rng(0)
    shape, axes = ((200, 96), "SX") if ndim == 1 else ((6, 64, 64), "ZYX")
    data = np.cumsum(rng.normal(size=shape), -1)
    job = api.prepare_run(api.as_images(data, axes), tiny_recipe(), ndim=ndim)
    *_, last = job.run()
    result = api.denoise(data, last.result, axes=axes, n_samples=2)
    assert result.mean.shape == shape
    assert np.isfinite(result.mean).all()


def test_channels_train_together(noisy):
    data = np.stack([noisy, noisy[::-1]])
    job = api.prepare_run(api.as_images(data, "CYX"), tiny_recipe())
    *_, last = job.run()
    assert (
        api.denoise(data, last.result, axes="CYX", n_samples=2).mean.shape == data.shape
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_chanels": 3}, "n_chanels"),
        ({"n_channels": 0}, "n_channels.*greater than or equal to 4"),
        ({"noise_axis": "w"}, "noise_axis"),
        ({"crop_size": 30}, "not a multiple of 4.*use 28"),
        ({"device": "tpu"}, "device 'tpu' is not available here; expected one of"),
    ],
)
def test_wrong_settings_are_named(noisy, change, words):
    with pytest.raises(BadInputError, match=words):
        api.fit(noisy, axes="YX", **(TINY["cosdd"] | TRAINING | change))


@pytest.mark.parametrize(
    ("image", "axes", "words"),
    [
        (np.full((64, 64), 3.0), "YX", "constant"),
        (np.zeros((0, 64)), "YX", "array without pixels"),
        (np.zeros((64, 64), complex), "YX", "got complex128"),
        (np.zeros((64, 64)), "TYX", "3 axes, but the image has 2"),
        (np.zeros((64, 64, 3)), None, "color"),
        ([], None, "array without pixels"),
    ],
)
def test_bad_images_are_named_before_any_work(image, axes, words):
    with pytest.raises(BadInputError, match=words):
        api.fit(image, axes=axes, **(TINY["cosdd"] | TRAINING))


def test_nan_is_counted_and_can_be_masked(noisy):
    holed = noisy.copy()
    holed[::9, ::9] = np.nan
    settings = TINY["cosdd"] | TRAINING
    with pytest.raises(BadInputError, match="165 of 12288 pixels"):
        api.fit(holed, axes="YX", **settings)
    model = api.fit(holed, axes="YX", fill="missing", **settings)
    assert np.isfinite(model.history["loss"]).all()


def test_unknown_methods_and_presets_are_named():
    with pytest.raises(BadInputError, match="no method 'bm3d'; expected one of cosdd"):
        Recipe.preset("bm3d")
    with pytest.raises(BadInputError, match="no preset 'tiny'; expected one of quick"):
        Recipe.preset("cosdd", "tiny")


def test_a_recipe_can_be_written_edited_and_used(tmp_path):
    path = tmp_path / "r.json"
    Recipe.preset("cosdd", "small").write(path)
    path.write_text(path.read_text().replace('"n_levels": 6', '"n_levels": 7'))
    assert Recipe.read(path).settings.n_levels == 7
    path.write_text(path.read_text().replace('"n_levels": 7', '"n_levels": 700'))
    with pytest.raises(BadInputError, match=r"n_levels.*got 700"):
        Recipe.read(path)
    path.write_text("{")
    with pytest.raises(BadInputError, match=r"r\.json"):
        Recipe.read(path)


def test_training_goes_on_from_a_model_in_its_own_scale(model, noisy):
    recipe = tiny_recipe(max_steps=1, learning_rate=1e-9, warmup_steps=0)
    image = api.as_images(3 * noisy + 100, "YX")
    job = api.prepare_run(image, recipe, init_model=model)
    assert job.crops.spec == model.spec
    assert job.recipe.settings.kl_warmup_steps == 0
    *_, last = job.run()
    before, after = model.method.state_dict(), last.result.method.state_dict()
    for key, value in before.items():
        torch.testing.assert_close(after[key], value, atol=1e-6, rtol=1e-4)


def test_going_on_needs_images_of_the_same_channels(model, noisy):
    image = api.as_images(np.stack([noisy, noisy]), "CYX")
    with pytest.raises(BadModelFileError, match="for 1 channels, the image has 2"):
        api.prepare_run(image, tiny_recipe(), init_model=model)


def test_the_estimate_counts_all_steps(noisy):
    short, long = (
        api.prepare_run(api.as_images(noisy, "YX"), tiny_recipe(max_steps=n)).estimate()
        for n in (100, 100_000)
    )
    assert long.seconds > 100 * short.seconds
    assert long.memory == short.memory > 1e8
    limited = api.prepare_run(
        api.as_images(noisy, "YX"), tiny_recipe(max_steps=10**7, time_limit=2.0)
    )
    assert limited.estimate().seconds == 120


def test_an_image_unlike_the_training_data_is_told(model, noisy):
    alike = api.as_images(noisy, "YX")[0]
    assert differences(model, alike, filled=False) == []
    stack = api.as_images(np.stack([noisy, noisy]), "TYX")[0]
    assert differences(model, stack, filled=False) == []
    shifted = api.as_images(noisy + 1e4, "YX")[0]
    assert "median" in differences(model, shifted, filled=False)[0]
    middle = float(np.median(noisy))
    flat = api.as_images((noisy - middle) / 10 + middle, "YX")[0]
    assert re.search(
        r"contrast is 0\.(1|09\d*) times", differences(model, flat, filled=False)[0]
    )


def test_frames_may_be_a_file_each(tmp_path):
    rng = np.random.default_rng(0)
    scene = rng.normal(100, 30, (64, 64))
    frames = [scene + rng.normal(0, 3, scene.shape) for _ in range(4)]
    for i, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"{i}.tif", frame.astype(np.float32))
    together = api.analyze(np.stack(frames).astype(np.float32), axes="TYX", frames=True)
    apart = api.analyze(tmp_path, frames=True)
    np.testing.assert_allclose(apart.correlation.values, together.correlation.values)
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((32, 64), np.float32))
    with pytest.raises(BadInputError, match=r"single planes of one size.*32, 64"):
        api.analyze(tmp_path, frames=True)


def test_one_image_is_asked_for_and_not_the_first_of_several(model, noisy, tmp_path):
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", noisy)
    for ask in (
        lambda images: api.denoise(images, model),
        lambda images: api.check(images, model),
        api.analyze,
    ):
        with pytest.raises(BadInputError, match="expected one image, got 2: a, b"):
            ask(tmp_path)


def test_outliers_are_filled_in_training_and_then_in_denoising(noisy):
    hot = noisy.copy()
    hot[40, 40] = 1e5
    model = api.fit(hot, axes="YX", fill="outliers", **TINY["cosdd"], **TRAINING)
    assert model.trained_on.fill == "outliers"
    filled = api.denoise(hot, model, axes="YX", n_samples=2).mean
    assert np.abs(filled - noisy.mean()).max() < 10 * noisy.std()
    kept = api.denoise(hot, model, axes="YX", n_samples=2, fill="nothing").mean
    assert np.abs(kept - filled)[36:45, 36:45].max() > 0.5 * filled.std()


def test_pixels_are_filled_as_in_the_training_when_a_residual_is_analyzed(noisy):
    holed = noisy.copy()
    holed[40, 40] = np.nan
    model = api.fit(holed, axes="YX", fill="missing", **TINY["cosdd"], **TRAINING)
    assert api.analyze(holed, axes="YX", model=model).source == "residual"
    with pytest.raises(BadInputError, match="not finite"):
        api.analyze(holed, axes="YX", model=model, fill="nothing")


def test_channels_one_by_one_are_analyzed_by_the_residual_of_a_model(noisy, model):
    both = np.stack([noisy, noisy + 10])
    found = api.analyze(both, axes="CYX", channel="each", model=model)
    assert found.source == "residual"


def test_lists_of_names_generators_and_masks_are_taken(noisy, tmp_path):
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", noisy)
    names = [str(tmp_path / "a.tif"), str(tmp_path / "b.tif")]
    assert len(api.as_images(names)) == len(api.as_images(n for n in names)) == 2
    (image,) = api.as_images(torch.from_numpy(noisy), "YX")
    assert image.data.dtype == np.float32
    masked = np.ma.masked_greater(noisy, noisy.mean())
    (image,) = api.as_images(masked, "YX")
    np.testing.assert_array_equal(np.isnan(image.data), masked.mask)


def test_grey_levels_on_a_large_offset_are_kept(noisy, model):
    scale = model.spec.normalization.model_copy(update={"mean": (1e9,)})
    method = deepcopy(model.method)
    method.spec = model.spec.model_copy(update={"normalization": scale})
    far = noisy.astype(np.float64) + 1e9
    mean = api.denoise(far, replace(model, method=method), n_samples=2).mean
    assert len(np.unique(mean)) > mean.size / 2


def test_trainings_in_threads_are_those_alone(noisy):
    def train(_):
        fitted = api.fit(noisy, axes="YX", seed=4, **TINY["cosdd"], **TRAINING)
        return fitted.fingerprint

    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(train, range(4)))
    assert made == {train(0)}
    assert torch.equal(before, torch.get_rng_state())


def test_gradients_may_be_off_around_a_training(noisy):
    with torch.no_grad():
        api.fit(noisy, axes="YX", **TINY["cosdd"], **TRAINING)


def test_only_one_two_and_three_dimensions_there_are(noisy):
    with pytest.raises(BadInputError, match="4 spatial axes: expected 1, 2 or 3"):
        api.fit(noisy, ndim=4)


@pytest.mark.parametrize("kind", ["tif", "zarr"])
def test_results_in_a_folder_are_no_images_to_learn_from(tmp_path, noisy, kind):
    source = api.Image(noisy, "YX", "a")
    write_image(tmp_path / "a.tif", source)
    made_by = {"napari_cosdd": "0.1.0", "source": "a", "part": "mean"}
    write_image(tmp_path / f"a-mean.{kind}", source, made_by)
    images = api.as_images(tmp_path)
    assert [image.name for image in images] == ["a"]
    assert "1 earlier results of a denoising in the folder are left out" in (
        images[0].doubts
    )
    assert api.as_images(tmp_path / f"a-mean.{kind}")[0].is_result


def test_scripts_are_warned(noisy, model):
    with pytest.warns(CosddWarning, match="the model may not fit") as warned:
        api.denoise(noisy * 10, model, n_samples=1)
    assert warned[0].filename == __file__
    several = noisy[None]
    with pytest.warns(CosddWarning, match="axes TYX are a guess") as warned:
        api.fit(several, **(TINY["cosdd"] | TRAINING))
    assert all(one.filename == __file__ for one in warned)


def test_whoever_listens_to_events_gets_no_other_warnings(noisy, model):
    events = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        api.denoise(noisy * 10, model, n_samples=1, on_event=events.append)
    told = [event.message for event in events if isinstance(event, Warned)]
    assert any("the model may not fit" in message for message in told)


def test_what_is_doubtful_about_a_file_is_told_to_scripts(noisy, model, tmp_path):
    path = tmp_path / "stack.npy"
    np.save(path, noisy[None])
    for use in (
        lambda: api.denoise(path, model, n_samples=1),
        lambda: api.analyze(path),
        lambda: api.check(path, model),
    ):
        with pytest.warns(CosddWarning, match="axes TYX are a guess") as warned:
            use()
        told = [one for one in warned if "a guess" in str(one.message)]
        assert [one.filename for one in told] == [__file__]


def test_results_that_are_given_one_by_one_are_images(noisy, tmp_path):
    image = api.Image(noisy, "YX", "a")
    write_image(tmp_path / "a.tif", image)
    made_by = {"napari_cosdd": "0.1.0", "source": "b", "part": "mean"}
    write_image(tmp_path / "b-mean.tif", image, made_by)
    both = [tmp_path / "a.tif", tmp_path / "b-mean.tif"]
    assert [one.name for one in api.as_images(both)] == ["a", "b-mean"]
    assert len(api.as_images(tmp_path, results=True)) == 2
    assert len(api.as_images(tmp_path)) == 1


def test_a_target_of_one_channel_serves_any_channel(noisy):
    channels = api.Image(np.stack([noisy, noisy + 50]), "CYX")
    for axes, target in (("YX", noisy), ("CYX", noisy[None])):
        request = api.TrainingRequest(
            tiny_recipe("care"),
            channels,
            targets=api.Image(target, axes),
            channel=1,
        )
        assert request.prepare().crops.spec.n_channels == 1


@pytest.mark.parametrize("channel", ["1", "all", 1.5])
def test_channels_are_numbers(noisy, channel):
    with pytest.raises(BadInputError, match="expected a whole number from 0"):
        api.analyze(api.Image(noisy[None], "CYX"), channel=channel)


def test_what_is_whole_of_a_damaged_file_is_used_if_asked(model, noisy, tmp_path):
    path = tmp_path / "movie.tif"
    frames = np.stack([noisy] * 4).astype(np.float32)
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX"})
    path.write_bytes(path.read_bytes()[: -noisy.size * 4 - 100])
    with pytest.raises(BadInputError, match="salvage=True"):
        api.denoise(path, model, n_samples=1)
    assert api.denoise(path, model, n_samples=1, salvage=True).mean.shape[0] < 4


def test_what_is_no_model_image_or_region_is_told(noisy, model):
    for call, words in [
        (lambda: api.denoise(noisy, None), "trained model.*got NoneType"),
        (lambda: api.denoise(noisy, model.method), "trained model.*got COSDD"),
        (lambda: api.denoise(object(), model), "expected an image.*got object"),
        (lambda: api.fit(noisy, method="hdn", noise_model=model), "a noise model"),
        (lambda: api.fit(noisy, region=(0, 9, 0, 9)), "expected a region as two"),
        (lambda: api.analyze(noisy, region=(0, 9)), "expected a region as two"),
        (lambda: api.analyze(noisy, region="here"), "expected a region as two"),
    ]:
        with pytest.raises(BadInputError, match=words):
            call()
    box = api.analyze(noisy, region="0:40,0:48")
    assert box.facts == api.analyze(noisy, region=(slice(40), slice(48))).facts


def test_tensors_with_gradients_and_named_axes_are_read(noisy):
    (image,) = api.as_images(torch.from_numpy(noisy.copy()).requires_grad_())
    np.testing.assert_array_equal(image.data, noisy)

    class Named(np.ndarray):
        """An array that names its axes as xarray does."""

        dims = ("x", "y")

    (image,) = api.as_images(noisy.T.view(Named))
    assert image.axes == "XY"
    assert api.analyze(noisy.T.view(Named)).facts.axis == "x"
    Named.dims = ("dim_0", "dim_1")
    (image,) = api.as_images(noisy.view(Named))
    assert image.axes == "YX"
