"""Crops of images that are smaller than the crops of a preset."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from helpers import TINY, TRAINING, tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import BadInputError, BadModelFileError


def job_of(*images, **training):
    recipe = api.Recipe.preset("cosdd").with_values(TINY["cosdd"] | TRAINING | training)
    return api.prepare_run([api.Image(image, "YX") for image in images], recipe)


def noise(side):
    return np.random.default_rng(0).normal(100, 10, (side, side)).astype(np.float32)


def test_small_images_are_trained_on_with_smaller_crops():
    job = job_of(noise(40), crop_size=64)
    assert job.crops.crop == (36, 36)  # 4 rows are for validation
    assert job.recipe.training.crop_size == 36
    assert "the crop size is 36 px instead of 64" in job.warnings[0]


def test_crops_are_as_large_as_the_smallest_of_small_images_allows():
    assert job_of(noise(40), noise(24), crop_size=64).crops.crop == (20, 20)


def test_one_small_image_among_large_ones_is_refused():
    with pytest.raises(BadInputError, match="or leave the image out"):
        job_of(noise(96), noise(24), crop_size=64)


def test_images_that_hold_no_crop_at_all_are_refused():
    with pytest.raises(BadInputError, match="smaller than the crop"):
        job_of(noise(11), crop_size=64, noise_axis="none")


def test_crops_that_fit_are_left_alone():
    job = job_of(noise(96), crop_size=64)
    assert job.crops.crop == (64, 64)
    assert not any("crop size" in warning for warning in job.warnings)


def validated(images, validation, method="cosdd", **given):
    recipe = tiny_recipe(method)
    others = [api.Image(image, "YX") for image in validation]
    images = [api.Image(image, "YX") for image in images]
    return api.prepare_run(images, recipe, validation=others, **given)


def test_images_to_validate_on_are_not_trained_on_and_the_others_are_whole(noisy):
    held_out = noisy[:64, :64] + 10_000  # told apart by its brightness
    crops = validated([noisy], [held_out]).crops
    scale = crops.spec.normalization
    floor = (held_out.min() - scale.mean[0]) / scale.std[0]
    assert crops.validation().noisy.shape == (4, 1, 64, 64)
    assert (crops.validation().noisy >= floor - 1e-3).all()
    seen = crops.batch(200, np.random.default_rng(0)).noisy
    assert (seen < floor).all()
    assert crops.parts.train[0].size == noisy.shape
    np.testing.assert_allclose(scale.mean, noisy.mean(), rtol=1e-5)


def test_an_image_as_large_as_a_crop_is_enough_where_another_validates(noisy):
    assert validated([noisy[:32, :32]], [noisy[32:64]]).crops.crop == (32, 32)
    with pytest.raises(BadInputError, match="too small to validate on"):
        validated([noisy], [noisy[:3, :64]])


def test_equal_images_are_found_by_their_pixels(noisy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("a.ome.tif")
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(noisy, metadata={"axes": "YX"})
        file.write(noisy[:64], metadata={"axes": "YX"})
    first, second = api.as_images(path / "0"), api.as_images(path / "1")
    whole = api.Image(noisy.copy(), "YX")
    api.prepare_run(first, tiny_recipe(), validation=second)
    for same in ([whole], api.as_images(path.absolute() / "0")):
        with pytest.raises(BadInputError, match="also trained on"):
            api.prepare_run(first, tiny_recipe(), validation=same)


def test_a_training_goes_on_with_the_same_images_to_validate_on(noisy, tmp_path):
    def prepared(validation):
        return validated([noisy], validation)

    path = tmp_path / "m.safetensors"
    polled = iter([False] * 3)
    list(prepared([noisy[:64]]).run(output=path, stop=lambda: next(polled, True)))
    for other in ([], [noisy[32:]]):
        with pytest.raises(BadModelFileError, match="other settings or images"):
            list(prepared(other).run(output=path, resume=True))
    *_, last = prepared([noisy[:64]]).run(output=path, resume=True)
    assert last.step == TRAINING["max_steps"]


def test_images_to_validate_on_are_checked_as_those_to_train_on(noisy):
    with pytest.raises(BadInputError, match="also trained on"):
        validated([noisy], [noisy])
    broken = noisy[:64].copy()
    broken[3, 4] = np.nan
    with pytest.raises(BadInputError, match="not finite"):
        validated([noisy], [broken])
    target = [api.Image(noisy - 1, "YX")]
    with pytest.raises(BadInputError, match="got 1 images and 0 targets"):
        validated([noisy], [noisy[:64]], "n2n", targets=target)


def test_a_supervised_method_validates_on_pairs(noisy):
    clean = [api.Image(noisy[:64] + 5, "YX")]
    job = validated(
        [noisy],
        [noisy[:64]],
        "care",
        targets=[api.Image(noisy + 5, "YX")],
        validation_targets=clean,
    )
    shown = job.crops.validation()
    assert shown.target is not None
    np.testing.assert_allclose(shown.target, shown.noisy, atol=1e-4)


def test_the_same_image_is_refused_within_a_region_too(noisy):
    image = api.Image(noisy, "YX")
    with pytest.raises(BadInputError, match="also trained on"):
        api.prepare_run(
            [image],
            tiny_recipe(),
            validation=[image],
            region=(slice(0, 64), slice(0, 64)),
        )
