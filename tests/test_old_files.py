"""Model files of every released version load and give the same pixels for ever."""

from pathlib import Path

import pytest

from napari_cosdd import api

FIXTURES = Path(__file__).parent / "fixtures"
#: Two pixels of what each file makes of the image of `conftest.noisy`.
EXPECTED = {
    "cosdd-0.1.0": (76.88285827636719, 80.64036560058594),
    "n2v-0.1.0": (86.43885803222656, 100.1508560180664),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_old_models_give_the_same_pixels(name, noisy):
    model = api.load(FIXTURES / f"{name}.safetensors")
    mean = api.denoise(noisy, model, axes="YX", n_samples=3, antithetic=False).mean
    found = (float(mean[10, 10]), float(mean[50, 70]))
    assert found == pytest.approx(EXPECTED[name], rel=1e-3)


def test_every_fixture_is_tested():
    assert {p.stem for p in FIXTURES.glob("*.safetensors")} == set(EXPECTED)
