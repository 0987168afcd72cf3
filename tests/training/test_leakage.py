"""Trainings whose anchor is let go, and images drawn again that judge them."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import awaken, build, tiny_recipe
from napari_cosdd import api
from napari_cosdd.events import StepDone, Validated, Warned
from napari_cosdd.methods.capabilities import Draw
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.methods.values import Problem
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training import leakage
from napari_cosdd.training.leakage import (
    LOOK_SEED,
    TOLERANCE,
    is_trusted,
    noise_removed,
    redraw,
)
from napari_cosdd.training.loop import train
from napari_cosdd.training.state import Reference
from napari_cosdd.training.weights import weights_of

CPU = torch.device("cpu")


@pytest.fixture
def known():
    """Return a model to start from."""
    method = awaken(build("cosdd", noise_axis="x"))
    return TrainedModel("cosdd", method.eval(), TrainingConfig())


def job(noisy, known, **training):
    recipe = tiny_recipe(validation_every=1, **training)
    return api.prepare_run(api.as_images(noisy, "YX"), recipe, init_model=known)


class Leaky:
    """Returns a share of what it is given."""

    def __init__(self, share):
        self.share = share

    def encode(self, x):
        return [x]

    def sample_posterior(self, features, noise):
        return Draw(self.share * features[0], None)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_noise_removed_is_in_decibels(share):
    noise = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    removed = noise_removed(Leaky(share), noise, torch.zeros_like(noise), CPU)
    assert removed == pytest.approx(-20 * np.log10(share), abs=1e-4)


def test_images_drawn_again_have_the_networks_signal_and_noise(known):
    method = known.method
    with torch.no_grad():  # one Gaussian around what the code says, of deviation 2
        method.decoder.head.weight.zero_()
        logits, offsets, scales = method.decoder.head.bias.view(3, -1)
        logits.zero_(), offsets.zero_(), scales.fill_(np.log(np.expm1(2.0)))
        method.decoder.location.weight.zero_()
        method.decoder.location.bias.fill_(0.5)
    x = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    (noisy, clean), again, other = (redraw(method, x, seed) for seed in (0, 0, 1))
    assert torch.equal(noisy, again[0])
    assert not torch.equal(clean, other[1])
    assert float((noisy - 0.5).std()) == pytest.approx(2.0, rel=0.05)


def test_noise_is_drawn_on_the_very_signal_that_is_known():
    class Bare(Leaky):
        def sample_posterior(self, features, noise):
            return Draw(noise(0, features[0].shape), None)

        def sample_noise(self, draw, generator):
            white = torch.randn(draw.signal.shape, generator=generator)
            return draw.signal + 5 * white

    noisy, clean = redraw(Bare(1), torch.zeros(3, 1, 32, 32), 0)
    assert float((noisy - clean).std()) == pytest.approx(5, rel=0.1)
    judging = [
        torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(LOOK_SEED + n))
        for n in range(3)
    ]
    drawn = torch.stack([*clean, *judging]).flatten(1)
    assert float(torch.corrcoef(drawn).fill_diagonal_(0).abs().max()) < 0.2


def steps(run, n):
    """Take `n` steps; yield after each."""
    for event in train(run):
        if isinstance(event, StepDone):
            yield event
            if event.step == n:
                return


def test_the_anchor_holds_for_its_steps_and_is_let_go_then(noisy, known):
    training = job(noisy, known, max_steps=6, anchored_steps=2, anchor=1.0)
    run, rates, pulled = training.start(), [], []
    pull = run.stepper.anchor.pull
    run.stepper.anchor.pull = lambda: (pulled.append(run.state.step), pull())
    for done in steps(run, 4):
        slow, fast = (g["lr"] for g in run.stepper.optimizer.param_groups)
        rates.append(slow / fast)
        assert fast == done.learning_rate
    assert pulled == [0, 1]
    assert rates == pytest.approx([0.1, 0.1, 0.3, 0.3])


@pytest.mark.parametrize(
    ("training", "started"), [({"anchor": 0.0}, True), ({}, False)]
)
def test_only_what_was_anchored_is_let_go(noisy, known, training, started):
    settings = {"anchored_steps": 1, "max_steps": 3, **training}
    run = job(noisy, known if started else None, pretrained=False, **settings).start()
    list(steps(run, 2))
    assert run.schedule.phase(run.state.steps_since_start) != "free"
    assert run.state.reference is None


def test_what_draws_nothing_is_not_let_go(noisy):
    known = TrainedModel("n2v", build("n2v").eval(), TrainingConfig())
    recipe = tiny_recipe("n2v", anchored_steps=1, max_steps=5, validation_every=1)
    training = api.prepare_run(api.as_images(noisy, "YX"), recipe, init_model=known)
    *_, last = training.run()
    assert "redrawn" not in last.result.history


def test_a_training_as_long_as_its_anchor_is_judged_by_its_criterion(
    noisy, known, monkeypatch
):
    _never_best(monkeypatch)
    events = list(job(noisy, known, max_steps=3, anchored_steps=3).run())
    assert _kept(events) == [True, False, False]
    assert "redrawn" not in events[-1].result.history


def test_the_ladder_is_held_for_a_share_of_the_anchored_steps(noisy, known):
    training = job(noisy, known, max_steps=1000, anchored_steps=10)
    run, before = training.start(), known.method.ladder.state_dict()
    moved = []
    for _ in steps(run, 2):
        after = run.method.ladder.state_dict()
        moved.append(any(not torch.equal(after[k], v) for k, v in before.items()))
    assert moved == [False, True]


def _removing(monkeypatch, values):
    """Let so many dB be removed when the anchor is let go, and at the looks after."""
    left = iter(values)
    monkeypatch.setattr(leakage, "noise_removed", lambda *_: next(left))


def _never_best(monkeypatch):
    """Let the criterion rise from look to look, so that it keeps the first only."""
    looks = iter(range(1000))
    monkeypatch.setattr(COSDD, "problem", lambda self, losses: None)
    monkeypatch.setattr(COSDD, "criterion", lambda self, losses: float(next(looks)))


def _kept(events):
    return [e.best for e in events if isinstance(e, Validated)]


def test_weights_are_kept_while_redrawn_images_are_seen_through(
    noisy, known, monkeypatch
):
    _never_best(monkeypatch)
    _removing(monkeypatch, [10.0, 9.95, 9.8, 11.0, 9.8])
    events = list(job(noisy, known, max_steps=5, anchored_steps=1).run())
    assert _kept(events) == [True, True, False, True, False]
    looks = [None, *np.float32([9.95, 9.8, 11.0, 9.8]).tolist()]
    found = events[-1].result.history["redrawn"]
    assert found[0] is None
    assert found[1:] == pytest.approx(looks[1:])
    assert not [e for e in events if isinstance(e, Warned)]


def test_the_best_criterion_is_kept_whatever_redrawn_images_say(
    noisy, known, monkeypatch
):
    _never_best(monkeypatch)
    falling = iter(range(0, -100, -1))
    monkeypatch.setattr(COSDD, "criterion", lambda self, losses: float(next(falling)))
    _removing(monkeypatch, [10.0, *[5.0] * 9])
    assert all(_kept(job(noisy, known, max_steps=4, anchored_steps=1).run()))


def test_a_training_that_takes_in_noise_ends_with_the_weights_of_before(
    noisy, known, monkeypatch
):
    monkeypatch.setattr(leakage, "LEAKAGE_PATIENCE", 3)
    _never_best(monkeypatch)
    _removing(monkeypatch, [10.0, 10.0, *[9.0] * 20])
    run, events, seen = (
        job(noisy, known, max_steps=50, anchored_steps=1).start(),
        [],
        [],
    )
    for event in train(run):
        events.append(event)
        if isinstance(event, Validated):
            with run.stepper.averaged():
                seen.append(weights_of(run.method))
    last = events[-1]
    assert _kept(events) == [True, True, False, False, False]
    assert (last.reason, last.step) == ("plateau", 5)
    message = [e for e in events if isinstance(e, Warned)][-1].message
    assert message.startswith("in the last 3 looks the network was no better")
    kept = last.result.method.state_dict()
    assert all(torch.equal(value, seen[1][name]) for name, value in kept.items())
    assert not all(torch.equal(value, seen[4][name]) for name, value in kept.items())


def test_unkept_looks_of_before_end_nothing_when_the_anchor_is_let_go(
    noisy, known, monkeypatch
):
    monkeypatch.setattr(leakage, "LEAKAGE_PATIENCE", 3)
    _never_best(monkeypatch)
    _removing(monkeypatch, [10.0] * 9)
    *_, last = job(noisy, known, max_steps=8, anchored_steps=6).run()
    assert (last.reason, last.step) == ("completed", 8)


def test_a_collapsed_network_draws_no_reference(noisy, known, monkeypatch):
    collapse = Problem("the posterior collapsed", "it says nothing", "Train longer.")
    monkeypatch.setattr(COSDD, "problem", lambda self, losses: collapse)
    run = job(noisy, known, max_steps=99, anchored_steps=1).start()
    list(steps(run, 3))
    assert run.schedule.phase(run.state.steps_since_start) == "free"
    assert run.state.reference is None


def test_weights_are_trusted_up_to_a_tenth_of_a_decibel():
    reference = Reference(torch.zeros(1), torch.zeros(1), removed=10.0)
    assert is_trusted(10.0 - 0.9 * TOLERANCE, reference)
    assert not is_trusted(10.0 - 1.1 * TOLERANCE, reference)


def test_resumed_equals_uninterrupted_once_the_anchor_is_let_go(
    noisy, known, tmp_path, monkeypatch
):
    monkeypatch.setattr(COSDD, "problem", lambda self, losses: None)
    path = tmp_path / "m.safetensors"
    settings = {"max_steps": 8, "anchored_steps": 2, "anchor": 0.5}
    *_, whole = job(noisy, known, **settings).run()
    taken = []
    *_, stopped = job(noisy, known, **settings).run(
        output=path, stop=lambda: len(taken) >= 5 or bool(taken.append(1))
    )
    assert stopped.reason == "stopped"
    *_, resumed = job(noisy, known, **settings).run(output=path, resume=True)
    assert resumed.step == whole.step == 8
    assert resumed.result.history["redrawn"] == whole.result.history["redrawn"]
    for a, b in zip(
        whole.result.method.parameters(),
        resumed.result.method.parameters(),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_a_nat_in_the_latents_has_to_save_more_than_itself(known):
    def criterion(nll, kl):
        return known.method.criterion({"nll": nll, "kl": kl, "loss": 0.0})

    assert criterion(1.0, 0.1) < criterion(0.91, 0.2)  # white noise, moved there
    assert criterion(1.0, 0.1) > criterion(0.85, 0.2)  # signal


def test_probes_are_fixed_crops_of_the_training_blocks(noisy, known):
    crops = job(noisy, known).crops
    probes = crops.probes(3).noisy
    np.testing.assert_array_equal(probes, crops.probes(3).noisy)
    held_out = crops.validation(3).noisy
    assert not set(probes.ravel().tolist()) & set(held_out.ravel().tolist())


def test_the_anchor_is_of_those_that_know_the_signal(noisy, known):
    run = job(noisy, known).start()
    signal = [*run.method.ladder.parameters(), *run.method.signal.parameters()]
    anchored = run.stepper.anchor.parameters
    assert {id(p) for p in anchored} == {id(p) for p in signal}
    assert all(isinstance(p, nn.Parameter) for p in anchored)
