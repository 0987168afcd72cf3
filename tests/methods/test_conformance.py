"""What every method must do; new ones are taken in by their line in the table."""

import numpy as np
import pytest
import torch

from helpers import TINY, assets_of, awaken, build, prepared
from napari_cosdd import api
from napari_cosdd.checks.methods_paragraph import methods_paragraph
from napari_cosdd.events import Preview, Started, Validated
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import Batch
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.prediction.denoiser import denoise
from napari_cosdd.prediction.outputs import outputs_of
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.loop import train
from napari_cosdd.training.weights import weights_of

FACTS = [
    NoiseFacts("one axis", "x", 3, 9, True, "It runs along rows."),
    NoiseFacts("independent", "none", 0, 0, True, "It is independent."),
    NoiseFacts("both axes", "x", 3, 9, False, "It runs along both."),
    NoiseFacts("unclear", "none", 0, 0, True, "It hides."),
]


def batch_of(method, x: torch.Tensor, weight=None) -> Batch:
    return Batch(x, None if method.needs.target == "none" else 0.5 * x, weight)


def losses_of(method, x, weight=None):
    generator = torch.Generator().manual_seed(0)
    return method.losses(batch_of(method, x, weight), generator)


def test_config_survives_the_round_trip(name):
    kind = get_method(name).Config
    config = kind.model_validate(TINY[name])
    assert kind.model_validate_json(config.model_dump_json()) == config


def test_methods_share_no_tensors(name):
    method, other = build(name), build(name)
    own = {t.data_ptr() for t in method.state_dict().values() if t.numel()}
    for module in filter(None, (other, assets_of(name, 1.0).noise_model)):
        assert own.isdisjoint(t.data_ptr() for t in module.state_dict().values())


def test_presets_are_resolved_by_the_noise_and_buildable(name):
    spec, assets = build(name).spec, assets_of(name)
    for preset in get_method(name).presets:
        recipe = api.Recipe.preset(name, preset)
        for facts in FACTS:
            config = recipe.settings.resolved(facts)
            assert not config.is_open
            with torch.device("meta"):
                get_method(name)(config, spec, assets)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_losses_are_finite_in_every_dimension(name, ndim, n_channels):
    method = build(name, ndim, n_channels)
    losses = losses_of(method, torch.randn(2, n_channels, *(4, 16, 32)[3 - ndim :]))
    assert all(torch.isfinite(v) for v in losses.objectives.values())
    assert all(torch.isfinite(v) for v in losses.metrics.values())


@pytest.mark.parametrize("axis", ["x", "y", "none"])
def test_a_step_changes_every_parameter(name, axis):
    method = awaken(build(name, noise_axis=axis))
    trained = {k: p for k, p in method.named_parameters() if p.requires_grad}
    before = {key: p.detach().clone() for key, p in trained.items()}
    optimizer = torch.optim.Adam(trained.values(), 0.01)
    losses = losses_of(method, torch.randn(2, 1, 32, 32))
    torch.stack(list(losses.objectives.values())).sum().backward()
    optimizer.step()
    unchanged = [key for key, p in trained.items() if torch.equal(p, before[key])]
    expected = (
        {"decoder.entry.conv.weight"} if axis == "none" and name == "cosdd" else set()
    )
    assert set(unchanged) == expected


def test_pixels_of_no_weight_do_not_count(name):
    """What a filled pixel is compared to changes no loss but the KL's own input."""
    method = awaken(build(name))
    x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    weight = torch.ones_like(x)
    weight[..., 8:16, 8:16] = 0
    whole, part = losses_of(method, x), losses_of(method, x, weight)
    ones = losses_of(method, x, torch.ones_like(x))
    for key, value in whole.objectives.items():
        assert torch.allclose(value, ones.objectives[key], rtol=1e-4)
    assert any(
        not torch.allclose(whole.objectives[k], v) for k, v in part.objectives.items()
    )


def test_curves_are_of_losses_that_there_are(name):
    method = build(name)
    losses = losses_of(method, torch.randn(1, 1, 32, 32))
    known = losses.objectives.keys() | losses.metrics.keys()
    keys = [curve.key for curve in method.curves]
    assert keys
    assert set(keys) <= known
    assert all(curve.title and curve.tab and curve.unit for curve in method.curves)


def test_every_trained_parameter_is_in_one_group(name):
    method = build(name)
    groups = [id(p) for group in method.parameter_groups() for p in group]
    assert len(groups) == len(set(groups))
    assert set(groups) == {id(p) for p in method.parameters() if p.requires_grad}


@pytest.mark.parametrize("facts", FACTS, ids=lambda f: f.pattern)
def test_every_method_says_whether_it_suits(name, facts):
    score, reason = get_method(name).suits(facts)
    assert score in (0, 1, 2, 3)
    assert reason.endswith(".")


def test_a_training_tells_its_story_and_can_be_cited(name, noisy, tmp_path):
    events = list(prepared(name, noisy).run(output=tmp_path / "m.safetensors"))
    started = next(e for e in events if isinstance(e, Started))
    preview = next(e for e in events if isinstance(e, Preview))
    validated = next(e for e in events if isinstance(e, Validated))
    assert {c.key for c in started.curves} <= validated.losses.keys()
    assert preview.images
    assert all(i.shape == preview.noisy.shape for i in preview.images.values())
    model = events[-1].result
    text = methods_paragraph(model, PredictionConfig(n_samples=2))
    assert text.startswith(f"Images were denoised with {model.method.title} [1")
    assert all(str(paper) in text for paper in model.method.papers())


def test_steps_happen_with_fewer_crops_than_the_accumulation_wants(name, noisy):
    run = prepared(name, noisy, batch_size=3, micro_batch=2, max_steps=1).start()
    before = weights_of(run.method)
    *_, done = train(run)
    after = run.method.state_dict()
    assert done.step == 1
    assert any(not torch.equal(before[k], after[k]) for k in after)


def test_saved_and_loaded_gives_the_same_pixels_in_memory_lazily_and_on_disk(
    name, noisy, tmp_path
):
    *_, last = prepared(name, noisy).run()
    path = tmp_path / "m.safetensors"
    last.result.save(path)
    loaded = TrainedModel.load(path)
    settings = {"n_samples": 2, "tile_size": 64, "device": "cpu"}
    a = api.denoise(noisy, last.result, axes="YX", **settings)
    b = api.denoise(noisy, loaded, axes="YX", **settings)
    np.testing.assert_array_equal(a.mean, b.mean)
    assert loaded.history == last.result.history
    assert loaded.margin == last.result.margin
    assert loaded.fingerprint == last.result.fingerprint
    config = PredictionConfig(**settings)
    lazy = api.denoise_lazily(loaded, api.Image(noisy, "YX"), config)
    np.testing.assert_allclose(lazy.compute(), a.mean, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("n_images", [1, 2])
def test_tiled_equals_whole(name, n_images):
    """Away from nothing: with a margin beyond the network's reach, to rounding."""
    method = awaken(build(name)).eval()
    model = TrainedModel(name, method, TrainingConfig())
    rng = np.random.default_rng(0)
    image = rng.normal(size=(n_images, 70, 90)).astype(np.float32)
    source = Stack(image, "TYX", 2)

    def run(**settings):
        config = PredictionConfig(n_samples=3, n_kept=2, device="cpu", **settings)
        outputs = outputs_of(method, config)
        assert outputs[0] == MEAN
        results = {output: np.zeros_like(image) for output in outputs}
        targets = {output: Stack(r, "TYX", 2) for output, r in results.items()}
        list(denoise(model, source, targets, config))
        return list(results.values())

    whole = run(tile_size=512, margin=0)
    tiled = run(tile_size=24, margin=48, batch_size=2)
    for a, b in zip(whole, tiled, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)
