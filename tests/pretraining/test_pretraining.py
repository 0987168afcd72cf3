"""Pretraining: the phantoms, the noise, and a block of training that goes on."""

import pretraining.__main__ as program
import pytest
import torch
from pretraining.noises import Rows, add_noise, along_rows
from pretraining.objective import FIELDS, gains, untrained
from pretraining.scenes import KINDS, Draw, scenes, unit_range

from napari_cosdd.methods.cosdd_settings import COSDDConfig
from napari_cosdd.methods.values import Batch, Moment
from napari_cosdd.models.trained_model import TrainedModel
from pretraining import pool


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_images_of_a_kind_are_finite_and_differ(kind):
    images = unit_range(kind(Draw(3, 64, generator())))
    assert images.shape == (3, 64, 64)
    assert images.isfinite().all()
    assert not torch.equal(images[0], images[1])
    assert torch.equal(images, unit_range(kind(Draw(3, 64, generator()))))


def test_scenes_are_between_0_and_1_and_some_are_nearly_empty():
    images = scenes(60, 64, generator())
    assert images.amin() >= 0
    assert images.amax() <= 1 + 1e-6
    ranges = images.amax((1, 2)) - images.amin((1, 2))
    assert 0.05 < (ranges < 0.5).float().mean() < 0.4


def test_noise_is_correlated_along_rows_and_not_across():
    noise = along_rows(Rows(torch.Size((200, 48, 64)), generator()))
    noise = noise - noise.mean((1, 2), keepdim=True)
    along = (noise[..., 1:] * noise[..., :-1]).mean((1, 2))
    across = (noise[:, 1:] * noise[:, :-1]).mean((1, 2))
    assert (along.abs() > 0.2).float().mean() > 0.6
    assert across.abs().mean() < 0.08


def test_noise_of_all_strengths_keeps_the_mean():
    clean = scenes(200, 48, generator())
    noise = add_noise(clean, generator(1)) - clean
    strength = noise.std((1, 2))
    assert strength.amin() > 0.005
    assert strength.amax() > 0.1
    assert noise.mean().abs() < 0.01


def test_the_mean_of_an_error_of_two_samples_is_that_of_the_mean():
    """Its expectation over the latent noise, by many draws of untrained networks."""
    tiny = COSDDConfig(n_levels=2, n_channels=8, n_code=4, receptive_field=5)
    method = untrained(tiny)
    x, clean = torch.randn(2, 1, 1, 16, 16, generator=generator())
    batch, noise = Batch(x, clean), generator()
    stage = method.stage(Moment(0, 1, 0))
    with torch.no_grad():
        drawn = [
            method.losses(batch, noise, stage).objectives["mean"] for _ in range(300)
        ]
        features = method.encode(x)
        samples = [
            method.sample_posterior(
                features, lambda _, s: torch.randn(s, generator=noise)
            )
            for _ in range(300)
        ]
    mean = torch.stack([draw.signal for draw in samples]).mean(0)
    expected = 5 * (mean - clean).square().mean()
    assert float(torch.stack(drawn).mean().detach()) == pytest.approx(
        float(expected.detach()), rel=0.05
    )
    assert gains(method, x, clean).shape == (1,)


def test_receptive_fields_take_turns():
    method = untrained(COSDDConfig(n_levels=2, n_channels=8, n_code=4))
    batch = Batch(torch.randn(1, 1, 16, 16), torch.randn(1, 1, 16, 16))
    for step, field in enumerate(FIELDS):
        method.losses(batch, generator(), method.stage(Moment(step, 9, 0)))
        seen = 1 + 2 * sum(layer.dilation for layer in _causal(method.decoder))
        assert seen == field


def _causal(decoder):
    return [decoder.entry, *decoder.causal]


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Sizes with which a block takes a second; returns its arguments."""
    for name, value in {"POOL_ELSEWHERE": 14, "HELD_OUT": 8}.items():
        monkeypatch.setattr(program, name, value)
    monkeypatch.setattr(pool, "SIDE", 64)
    monkeypatch.setattr(program, "SHAPES", ((2, 32), (1, 64)))
    monkeypatch.setattr(program, "HELD_OUT_SIDE", 32)
    names = {"state": tmp_path / "state", "output": tmp_path / "quick.safetensors"}
    return {"preset": "quick", "minutes": 0.01, "device": "cpu", **names}


def test_a_block_of_pretraining_goes_on_from_the_one_before(tiny, capsys):
    steps = []
    for _ in range(2):
        program.main(**tiny)
        model = TrainedModel.load(tiny["output"])
        steps.append(model.trained_on.model_extra["steps"])
    assert 0 < steps[0] < steps[1]
    assert tiny["output"].stat().st_size < 1_000_000
    assert "gain" in capsys.readouterr().out


def test_without_its_state_pretraining_goes_on_from_the_written_model(tiny, capsys):
    program.main(**tiny)
    first = TrainedModel.load(tiny["output"]).trained_on.model_extra["steps"]
    tiny["state"].unlink()
    gain = float(capsys.readouterr().out.split("gain ")[-1].split()[0])
    program.main(**tiny, model=tiny["output"])
    again = TrainedModel.load(tiny["output"])
    assert again.trained_on.model_extra["steps"] > first
    began = capsys.readouterr().out.split(f"step {first} gain ")[1].split()[0]
    assert float(began) == pytest.approx(gain, abs=0.6)  # half precision; taken back


def test_pretraining_that_diverges_is_taken_back(tiny, monkeypatch, capsys):
    monkeypatch.setattr(program, "EVERY", 0.2)
    program.main(**(tiny | {"minutes": 0.03, "rate": 1.0}))
    assert "worse: back to the last sound weights, rate 0.5" in capsys.readouterr().out
    weights = TrainedModel.load(tiny["output"]).method.state_dict()
    assert max(float(w.abs().max()) for w in weights.values()) < 10
