"""Crops of images that are smaller than the crops of a preset."""

import numpy as np
import pytest

from helpers import TINY, TRAINING
from napari_cosdd import api
from napari_cosdd.errors import BadInputError


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
