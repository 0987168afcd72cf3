"""Model files and recipes of every released version mean for ever what they meant."""

import json
import shutil
from pathlib import Path

import pytest

from napari_cosdd import api
from napari_cosdd.training.recipe import Recipe, resumed
from napari_cosdd.training.saving import resume_path

FIXTURES = Path(__file__).parent / "fixtures"
#: Two pixels of what each file makes of the image of `conftest.noisy`.
EXPECTED = {
    "cosdd-0.1.0": (76.88285827636719, 80.64036560058594),
    "n2v-0.1.0": (86.43885803222656, 100.1508560180664),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_old_models_give_the_same_pixels(name, noisy):
    model = api.load(FIXTURES / f"{name}.safetensors")
    settings = {"n_samples": 3, "antithetic": False, "test_time_views": False}
    mean = api.denoise(noisy, model, axes="YX", **settings).mean
    found = (float(mean[10, 10]), float(mean[50, 70]))
    assert found == pytest.approx(EXPECTED[name], rel=1e-3)


def test_every_fixture_is_tested():
    assert {p.stem for p in FIXTURES.glob("*.safetensors")} == set(EXPECTED)


@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("recipe-*.json")), ids=lambda p: p.stem
)
def test_old_recipes_mean_what_they_meant(path):
    recipe, written = Recipe.read(path), json.loads(path.read_text())
    assert recipe.method == written["method"]
    for settings, values in (
        (recipe.settings, written["settings"]),
        (recipe.training, written["training"]),
    ):
        for key, value in settings.with_present_names(values).items():
            assert getattr(settings, key) == value


def test_there_is_a_recipe_of_each_release():
    assert len(list(FIXTURES.glob("recipe-*.json"))) >= 1


#: Losses of an uninterrupted training of 0.1.0, of which the state is that of step 4.
LOSSES = [7.8249897956848145, 7.7649834752082825, 7.750207543373108]


def test_a_training_that_0_1_0_began_is_gone_on_with(noisy, tmp_path):
    path = tmp_path / "m.safetensors"
    shutil.copy(FIXTURES / "cosdd-0.1.0.safetensors.resume", resume_path(path))
    recipe, init_model, assets = resumed(path)
    assert (init_model, assets.noise_model) == (None, None)
    job = api.prepare_run(api.as_images(noisy, "YX"), recipe)
    started, *_, last = job.run(output=path, resume=True)
    assert started.first_step == 4
    assert (last.step, last.reason) == (8, "completed")
    assert last.result.history["loss"] == pytest.approx(LOSSES, rel=1e-4)
    assert not resume_path(path).exists()
