"""What every method must do; new ones are taken in by their line in the table."""

import numpy as np
import pytest
import torch

from helpers import TINY, awaken, build, tiny_recipe
from napari_cosdd import api
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.base import Batch
from napari_cosdd.methods.registry import get_method
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.denoiser import denoise
from napari_cosdd.prediction.outputs import part_names
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.training.stepper import weights_of


def test_config_survives_the_round_trip(name):
    kind = get_method(name).Config
    config = kind.model_validate(TINY[name])
    assert kind.model_validate_json(config.model_dump_json()) == config


def test_presets_are_valid_and_buildable(name):
    for preset in get_method(name).presets:
        recipe = api.Recipe.preset(name, preset)
        config = recipe.settings.resolved("x", 9)
        with torch.device("meta"):
            get_method(name)(config, build(name).spec)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_losses_are_finite_in_every_dimension(name, ndim, n_channels):
    method = build(name, ndim, n_channels)
    x = torch.randn(2, n_channels, *(4, 16, 32)[3 - ndim :])
    losses = method.losses(Batch(x), torch.Generator().manual_seed(0), 0.5)
    assert all(torch.isfinite(v) for v in losses.objectives.values())
    assert all(torch.isfinite(v) for v in losses.metrics.values())


@pytest.mark.parametrize("axis", ["x", "y", "none"])
def test_a_step_changes_every_parameter(name, axis):
    method = awaken(build(name, noise_axis=axis))
    before = [p.detach().clone() for p in method.parameters()]
    optimizer = torch.optim.Adam(method.parameters(), 0.01)
    x = torch.randn(2, 1, 32, 32)
    losses = method.losses(Batch(x), torch.Generator().manual_seed(0), 0.5)
    torch.stack(list(losses.objectives.values())).sum().backward()
    optimizer.step()
    unchanged = [
        key
        for (key, after), b in zip(method.named_parameters(), before, strict=True)
        if torch.equal(after, b)
    ]
    expected = (
        {"decoder.entry.conv.weight"} if axis == "none" and name == "cosdd" else set()
    )
    assert set(unchanged) == expected


def test_steps_happen_with_fewer_crops_than_the_accumulation_wants(name, noisy):
    recipe = tiny_recipe(name, batch_size=3, micro_batch=2)
    job = api.prepare_run(api.as_images(noisy, "YX"), recipe)
    loop = job.start()
    before = weights_of(loop.learner.method)
    *_, done = loop.step()
    after = loop.learner.method.state_dict()
    assert done.step == 1
    assert any(not torch.equal(before[k], after[k]) for k in after)


def test_saved_and_loaded_gives_the_same_estimate(name, noisy, tmp_path):
    job = api.prepare_run(api.as_images(noisy, "YX"), tiny_recipe(name))
    *_, last = job.run()
    last.result.save(tmp_path / "m.safetensors")
    loaded = TrainedModel.load(tmp_path / "m.safetensors")
    a = api.denoise(noisy, last.result, axes="YX", n_samples=2)
    b = api.denoise(noisy, loaded, axes="YX", n_samples=2)
    np.testing.assert_array_equal(a.mean, b.mean)
    assert loaded.history == last.result.history
    assert loaded.margin == last.result.margin


@pytest.mark.parametrize("n_images", [1, 2])
def test_tiled_equals_whole(name, n_images):
    """Away from nothing: with a margin beyond the network's reach, to rounding."""
    method = awaken(build(name)).eval()
    model = TrainedModel(name, method, api.Recipe().training)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(n_images, 70, 90)).astype(np.float32)
    source = Stack(image, "TYX", 2)

    def run(**settings):
        config = PredictionConfig(n_samples=3, n_kept=2, device="cpu", **settings)
        results = {p: np.zeros_like(image) for p in part_names(method, config)}
        outputs = {part: Stack(r, "TYX", 2) for part, r in results.items()}
        list(denoise(model, source, outputs, config))
        return list(results.values())

    whole = run(tile_size=512, margin=0)
    tiled = run(tile_size=24, margin=48, batch_size=2)
    for a, b in zip(whole, tiled, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)
