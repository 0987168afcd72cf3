"""The model check on a good model and on five deliberately bad ones."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers import prepared
from napari_cosdd import api, cli
from napari_cosdd.checks.gather import gather
from napari_cosdd.checks.page import write_check
from napari_cosdd.cli.check import WANTS_A_LOOK
from napari_cosdd.datasets import simulate
from napari_cosdd.errors import BadInputError, BadModelFileError, StoppedError

pytestmark = pytest.mark.slow
STEPS = 220


@pytest.fixture(scope="session")
def scene():
    return simulate.cells((256, 256), np.random.default_rng(3), n=18)


def camera(clean, seed=1):
    rng = np.random.default_rng(seed)
    return simulate.stripes(clean, rng, gain=0.008, gaussian=0.04, row=0.05)


@pytest.fixture(scope="session")
def train():
    def fit(noisy, **settings):
        settings = {"max_steps": STEPS, "batch_size": 4, "device": "cpu"} | settings
        return api.fit(noisy, axes="YX", **settings)

    return fit


@pytest.fixture(scope="session")
def good(scene, train):
    return train(camera(scene))


def verdict(model, noisy):
    found = api.check(noisy, model, axes="YX", device="cpu")
    return found, [f.name for f in found.failed]


def test_a_good_model_passes(good, scene):
    found, failed = verdict(good, camera(scene))
    assert failed == []
    assert found.verdict == "Nothing speaks against this result (12 checks)."
    assert found.grade == "no objection"
    _, failed = verdict(good, camera(scene[::-1], seed=2))
    assert failed == []  # nor on another image of the same camera


def test_missing_pixels_are_no_other_camera(good, scene):
    noisy = camera(scene)
    noisy[:8, :8] = np.nan
    found = api.check(noisy, good, axes="YX", fill="missing", device="cpu")
    assert "likeness" not in [f.name for f in found.failed]


def test_a_reference_that_says_nothing_is_refused(good, scene):
    for reference in (np.zeros_like(scene), np.full_like(scene, np.nan)):
        with pytest.raises(BadInputError, match="constant or not finite"):
            api.check(camera(scene), good, axes="YX", reference=reference)


def test_a_wrong_axis_is_named(scene, train):
    model = train(camera(scene), noise_axis="y", receptive_field=9)
    found, failed = verdict(model, camera(scene))
    assert failed[0] == "axis"
    assert found.verdict.endswith("Train again with noise axis x.")
    assert found.grade == "do not use"


def test_a_short_receptive_field_is_named(scene, train):
    noisy = simulate.long_range_rows(scene, np.random.default_rng(2))
    found, failed = verdict(train(noisy, noise_axis="x", receptive_field=3), noisy)
    assert failed[0] == "reach"
    assert "Train again with a receptive field of" in found.verdict


def test_a_short_training_is_named(scene, train):
    model = train(camera(scene), max_steps=30, pretrained=False)
    found, failed = verdict(model, camera(scene))
    assert failed[0] == "training"
    assert {"structure", "centred"} <= set(failed)
    assert found.verdict.endswith("Train longer.")


def test_too_few_gaussians_are_named(scene, train):
    noisy = simulate.checkerboard(scene, np.random.default_rng(4))
    found, failed = verdict(train(noisy, n_components=1), noisy)
    assert failed[0] == "shape"
    assert found.verdict.endswith("Train again with more Gaussians.")


def test_another_camera_is_named(good, scene):
    rng = np.random.default_rng(5)
    other = simulate.stripes(scene, rng, gain=0.001, gaussian=0.01, row=0.0)
    found, failed = verdict(good, other)
    assert failed[0] == "likeness"
    assert "Other camera" in found.verdict


def test_page_and_numbers_are_written(good, scene, tmp_path):
    found = api.check(camera(scene), good, axes="YX", reference=scene, device="cpu")
    assert found.scores.psnr > 28
    assert 0.6 < found.coverage.at(0.8) <= 1
    for name in ("check.png", "check.json"):
        write_check(tmp_path / name, found)
    assert (tmp_path / "check.png").read_bytes()[:4] == b"\x89PNG"
    numbers = json.loads((tmp_path / "check.json").read_text())
    assert numbers["passed"]
    assert len(numbers["findings"]) == 13  # one with the reference
    assert len(numbers["coverage"]["nominal"]) == 20


def test_the_command_says_what_it_found(model, noisy, tmp_path):
    np.save(tmp_path / "x.npy", noisy)
    model.save(tmp_path / "m.safetensors")
    page = tmp_path / "page.png"
    arguments = ["check", tmp_path / "m.safetensors", tmp_path / "x.npy"]
    arguments += ["--axes", "YX", "--device", "cpu", "--output", page]
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    assert result.exit_code == WANTS_A_LOOK  # six steps are none
    said = " ".join(result.output.split())
    assert "It was trained long enough" in said
    assert "Train longer." in said
    assert page.exists()


def quickly(name, images, axes, ndim):
    *_, last = prepared(name, images, axes, ndim).run()
    return last.result


def test_methods_without_samples_and_volumes_are_checked(name):
    planes = np.random.default_rng(0).normal(size=(8, 64, 64)).astype(np.float32)
    for ndim, axes in ((2, "TYX"), (3, "ZYX")):
        model = quickly(name, planes, axes, ndim)
        found = api.check(planes, model, axes=axes, device="cpu")
        assert {f.name for f in found.findings} >= {"axis", "structure", "training"}
        assert "training" in [f.name for f in found.failed]


def test_what_cannot_be_checked_is_said(model, noisy):
    line = quickly("cosdd", noisy, "SX", 1)
    with pytest.raises(BadInputError, match="not at single lines"):
        api.check(noisy[:4], line, axes="SX")
    with pytest.raises(BadModelFileError, match="1 channels"):
        api.check(np.stack([noisy, noisy]), model, axes="CYX")
    with pytest.raises(BadInputError, match="the reference has axes"):
        api.check(noisy, model, axes="YX", reference=noisy[:50])
    with pytest.raises(StoppedError):
        api.check(noisy, model, axes="YX", stop=lambda: True)


def test_the_image_is_filled_as_asked_and_not_as_in_the_training(model, noisy):
    hot = noisy.copy()
    hot[48, 64] = 50 * noisy.max()
    filling = replace(
        model, trained_on=model.trained_on.model_copy(update={"fill": "outliers"})
    )
    image = api.one_image(hot, "YX")
    filled, kept = (
        gather(filling, image, fill=fill).solutions[0, 0, 44:53, 60:69]
        for fill in ("outliers", "nothing")
    )
    assert np.abs(kept - filled).max() > filled.std()


def test_a_clean_image_of_another_scene_is_named(good, scene):
    other = scene[::-1].copy()
    found = api.check(camera(scene), good, axes="YX", reference=other, device="cpu")
    assert [f.name for f in found.failed] == ["covered"]
    assert "another scene" in found.verdict
