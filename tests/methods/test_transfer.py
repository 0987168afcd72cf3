"""Networks trained on planes whose noise runs along rows, put to other uses."""

import numpy as np
import pytest
import torch

from helpers import awaken, build, tiny_recipe
from napari_cosdd import api
from napari_cosdd.events import StepDone
from napari_cosdd.methods.cosdd_settings import COSDDConfig
from napari_cosdd.models import shipped
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.transfer import fitted
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.loop import train
from napari_cosdd.training.stepper import Stepper


def still(level, shape):
    """Latents at their means."""
    return torch.zeros(shape)


@pytest.fixture
def rows():
    return awaken(build("cosdd", noise_axis="x"))


@pytest.fixture
def image():
    return torch.randn(2, 1, 32, 48, generator=torch.Generator().manual_seed(0))


def outputs(method, x):
    """Return the clean image and the log-likelihood, image axes as those of x."""
    features = method.encode(x)
    code = method.ladder.sample_posterior(features, still).code
    density = method.likelihood(x, code).log_prob(method.decoder.rows(x))
    return method.signal(code), method.decoder.unrows(density, x.shape)


def test_for_columns_the_network_is_turned(rows, image):
    columns = build("cosdd", noise_axis="y")
    weights = columns.weights_from(rows)
    assert weights.keys() == rows.state_dict().keys()
    columns.load_state_dict(weights)
    for turned, straight in zip(
        outputs(columns, image.mT), outputs(rows, image), strict=True
    ):
        torch.testing.assert_close(turned.mT, straight, atol=1e-5, rtol=1e-4)


def test_in_a_volume_it_does_to_each_plane_what_it_did(rows, image):
    volume = build("cosdd", 3)
    volume.load_state_dict(volume.weights_from(rows))
    deep = torch.stack([image, 2 * image, image + 1], 2)
    for a, b in zip(outputs(volume, deep), outputs(rows, 2 * image), strict=True):
        torch.testing.assert_close(a[:, :, 1], b, atol=1e-5, rtol=1e-4)


def test_a_longer_receptive_field_begins_with_the_layers_there_are(rows, image):
    longer = build("cosdd", receptive_field=20)
    weights = longer.weights_from(rows)
    longer.load_state_dict(weights, strict=False)
    signal, _ = outputs(longer, image)
    torch.testing.assert_close(signal, outputs(rows, image)[0])
    assert any("causal.1" in name for name in longer.state_dict().keys() - weights)


@pytest.mark.parametrize(
    "settings",
    [
        {"n_channels": 16},
        {"n_levels": 3},
        {"n_latents": 2},
        {"n_code": 4},
        {"n_blocks": 2},
    ],
)
def test_networks_of_other_sizes_take_nothing(rows, settings):
    assert build("cosdd", **settings).weights_from(rows) is None


@pytest.mark.parametrize("settings", [{"n_blocks": 2}, {"n_levels": 3}])
def test_smaller_networks_take_no_part_of_a_larger_one(rows, settings):
    assert rows.weights_from(build("cosdd", **settings)) is None


def test_other_channels_methods_and_noise_along_z_take_nothing(rows):
    assert build("cosdd", n_image_channels=2).weights_from(rows) is None
    assert build("cosdd", 3, noise_axis="z").weights_from(rows) is None
    assert build("cosdd").weights_from(build("n2v")) is None


def test_kernels_that_do_not_fit_are_refused():
    kernel = torch.randn(2, 3, 5, 7)
    assert fitted(kernel, (2, 3, 5, 7), turned=True) is None
    assert fitted(kernel, (2, 3, 7, 5), turned=True).shape == (2, 3, 7, 5)


@pytest.fixture
def comes_with_it(rows, tmp_path, monkeypatch):
    """Let the package come with the tiny network."""
    model = TrainedModel("cosdd", rows.eval(), TrainingConfig())
    model.save(tmp_path / "cosdd-tiny.safetensors")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    shipped.shipped_models.cache_clear()
    yield rows
    shipped.shipped_models.cache_clear()


def test_trainings_start_from_the_network_that_comes_with_it(comes_with_it, noisy):
    job = api.prepare_run(api.as_images(noisy, "YX"), tiny_recipe())
    assert job.recipe.settings.kl_warmup_steps == 0
    assert job.trained_on.start == "the pretrained network"
    given = comes_with_it.state_dict()
    for name, value in job.build().state_dict().items():
        torch.testing.assert_close(value, given[name])
    first = next(iter(job.run()))
    assert first.description.endswith("from the pretrained network")


@pytest.mark.parametrize(
    ("settings", "training"), [({"n_channels": 16}, {}), ({}, {"pretrained": False})]
)
def test_else_they_start_from_random_weights(comes_with_it, noisy, settings, training):
    recipe = tiny_recipe().changed(settings, training)
    job = api.prepare_run(api.as_images(noisy, "YX"), recipe)
    assert job.weights is None
    assert job.trained_on.start == "random weights"
    assert job.recipe.settings.kl_warmup_steps == COSDDConfig().kl_warmup_steps


def test_the_network_in_the_package_fits_the_quick_preset():
    shipped.shipped_models.cache_clear()
    image = np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)
    for axis in ("x", "y", "none"):
        recipe = api.Recipe.preset().changed({"noise_axis": axis, "receptive_field": 5})
        job = api.prepare_run([api.Image(image, "YX")], recipe)
        assert job.trained_on.start == "the pretrained network"
        assert job.build().config.noise_axis == axis


def test_while_the_ladder_is_held_only_the_noise_is_learned(comes_with_it, noisy):
    recipe = tiny_recipe(max_steps=10, validation_every=100, averaging=0.0)
    job = api.prepare_run(api.as_images(noisy, "YX"), recipe)
    assert job.recipe.settings.decoder_only == 0.1
    before = comes_with_it.state_dict()

    def changed(n_steps):
        run, steps = job.start(), 0
        for event in train(run):
            steps += isinstance(event, StepDone)
            if steps == n_steps:
                break
        after = run.method.state_dict()
        moved = {k for k, v in after.items() if not torch.equal(v, before[k])}
        return {name.split(".")[0] for name in moved}

    assert changed(1) == {"decoder", "signal"}
    assert changed(2) == {"decoder", "signal", "ladder"}


def test_what_knows_the_signal_learns_slowly_from_trained_weights(comes_with_it, noisy):
    job = api.prepare_run(api.as_images(noisy, "YX"), tiny_recipe())
    for fine_tuning, shares in ((True, [0.1, 1]), (False, [1, 1])):
        stepper = Stepper.seeded(
            job.build,
            job.recipe.training,
            torch.device("cpu"),
            0,
            fine_tuning=fine_tuning,
        )
        assert [g["share"] for g in stepper.optimizer.param_groups] == shares
        n = sum(len(g["params"]) for g in stepper.optimizer.param_groups)
        assert n == len(stepper.parameters)
