"""Model files and recipes of every released version mean for ever what they meant."""

import json
from pathlib import Path

import pytest

from napari_cosdd import api
from napari_cosdd.training.recipe import Recipe

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
    for key, value in written["settings"].items():
        assert recipe.settings[key] == value
    for key, value in written["training"].items():
        assert getattr(recipe.training, key) == value


def test_there_is_a_recipe_of_each_release():
    assert len(list(FIXTURES.glob("recipe-*.json"))) >= 1
