"""Trainings whose anchor is let go, and images drawn again that judge them."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import awaken, build, tiny_recipe
from napari_cosdd import api
from napari_cosdd.events import Validated, Warned
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.training import redrawn, run
from napari_cosdd.training.checkpoint import TrainedModel
from napari_cosdd.training.config import TrainingConfig
from napari_cosdd.training.redrawn import noise_removed, redraw

CPU = torch.device("cpu")


@pytest.fixture
def known():
    """Return a model to start from."""
    method = awaken(build("cosdd", noise_axis="x"))
    return TrainedModel("cosdd", method.eval(), TrainingConfig())


def job(noisy, known, **training):
    recipe = tiny_recipe(validation_every=1, **training)
    return api.prepare_training(api.as_images(noisy, "YX"), recipe, start=known)


class Leaky:
    """Returns a share of what it is given."""

    def __init__(self, share):
        self.share = share

    def encode(self, x):
        return [x]

    def sample_posterior(self, features, noise):
        return self.share * features[0]


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
    first, again, other = (redraw(method, x, seed) for seed in (0, 0, 1))
    assert torch.equal(first.noisy, again.noisy)
    assert first.removed == again.removed
    assert not torch.equal(first.clean, other.clean)
    assert float((first.noisy - 0.5).std()) == pytest.approx(2.0, rel=0.05)
    assert first.removed == noise_removed(method, first.noisy, first.clean, CPU)


def test_noise_is_drawn_on_the_very_signal_that_is_known():
    class Bare(Leaky):
        def sample_posterior(self, features, noise):
            return noise(0, features[0].shape)

        def sample_noise(self, features, noise, generator):
            shape = features[0].shape
            return noise(0, shape) + 5 * torch.randn(shape, generator=generator)

    drawn = redraw(Bare(1), torch.zeros(3, 1, 32, 32), 0)
    assert float((drawn.noisy - drawn.clean).std()) == pytest.approx(5, rel=0.1)
    flat = drawn.clean.flatten(1)
    assert float(torch.corrcoef(flat).fill_diagonal_(0).abs().max()) < 0.2


def test_the_anchor_holds_for_its_steps_and_is_let_go_then(noisy, known):
    training = job(noisy, known, max_steps=6, anchored_steps=2, anchor=1.0)
    going, rates, pulled = training.start(), [], []
    pull = going.learner.anchor.pull
    going.learner.anchor.pull = lambda: (pulled.append(going.state.step), pull())
    for _ in range(4):
        (done,) = going.step()
        slow, fast = (g["lr"] for g in going.learner.optimizer.param_groups)
        rates.append(slow / fast)
        assert fast == done.learning_rate
    assert pulled == [0, 1]
    assert rates == pytest.approx([0.1, 0.1, 0.3, 0.3])


@pytest.mark.parametrize(
    ("training", "started"), [({"anchor": 0.0}, True), ({}, False)]
)
def test_only_what_was_anchored_is_let_go(noisy, known, training, started):
    settings = {"anchored_steps": 0, "max_steps": 3, **training}
    going = job(noisy, known if started else None, pretrained=False, **settings).start()
    assert not going.freed


def _removing(monkeypatch, values):
    """Let so many dB be removed at the looks that follow the first one."""
    left = iter(values)
    monkeypatch.setattr(redrawn, "noise_removed", lambda *_: next(left))


def _never_best(monkeypatch):
    """Let the criterion rise from look to look, so that it keeps the first only."""
    looks = iter(range(1000))
    monkeypatch.setattr(COSDD, "collapsed", lambda self, losses: False)
    monkeypatch.setattr(COSDD, "criterion", lambda self, losses: float(next(looks)))


def test_weights_are_kept_while_redrawn_images_are_seen_through(
    noisy, known, monkeypatch
):
    _never_best(monkeypatch)
    # The first look draws the images, and looks at them twice.
    _removing(monkeypatch, [10.0, 10.0, 9.95, 9.8, 11.0, 9.8])
    training = job(noisy, known, max_steps=5, anchored_steps=1)
    events = list(training.run())
    looks = [e for e in events if isinstance(e, Validated)]
    assert [e.best for e in looks] == [True, True, False, True, False]
    assert [e.losses["redrawn"] for e in looks] == [10.0, 9.95, 9.8, 11.0, 9.8]
    assert events[-1].result.history["redrawn"] == [10.0, 9.95, 9.8, 11.0, 9.8]
    assert not [e for e in events if isinstance(e, Warned)]


def test_a_training_that_takes_in_noise_ends_with_the_weights_of_before(
    noisy, known, monkeypatch
):
    monkeypatch.setattr(run, "FORSAKEN", 3)
    _never_best(monkeypatch)
    _removing(monkeypatch, [10.0, *[9.0] * 20])
    training = job(noisy, known, max_steps=50, anchored_steps=2)
    kept = {}
    original = run.weights_of

    def noted(method):
        kept.update(original(method))
        return dict(kept)

    monkeypatch.setattr(run, "weights_of", noted)
    *events, last = training.run()
    assert last.reason == "plateau"
    assert last.step == 4  # the first look kept its weights, the three that follow not
    assert [e for e in events if isinstance(e, Warned)][-1].message.startswith(
        "the last 3 looks at the network were no better"
    )
    for name, value in last.result.method.state_dict().items():
        torch.testing.assert_close(value, kept[name])


def test_collapsed_weights_are_kept_by_nobody(noisy, known, monkeypatch):
    _never_best(monkeypatch)
    monkeypatch.setattr(COSDD, "collapsed", lambda self, losses: True)
    going = job(noisy, known, max_steps=9, anchored_steps=0).start()
    losses = {"loss": 1.0, "nll": 1.0, "kl": 0.0}
    going.state.is_best(0.0, False)
    assert not going._is_to_be_kept(losses, True)
    assert going._is_to_be_kept(losses, False)


def test_what_is_not_finite_is_kept_by_nobody(noisy, known):
    going = job(noisy, known, max_steps=9, anchored_steps=0).start()
    losses = {"loss": float("nan"), "nll": 1.0, "kl": 0.0}
    assert not going._is_to_be_kept(losses, False)
    assert going.state.redrawn is None


def test_resumed_equals_uninterrupted_once_the_anchor_is_let_go(noisy, known, tmp_path):
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
    patches = job(noisy, known).patches
    probes = patches.probes(3)
    np.testing.assert_array_equal(probes, patches.probes(3))
    held_out = patches.validation(3)
    assert not set(probes.ravel().tolist()) & set(held_out.ravel().tolist())


def test_the_anchor_is_of_those_that_know_the_signal(noisy, known):
    learner = job(noisy, known).start().learner
    signal = [*learner.method.ladder.parameters(), *learner.method.signal.parameters()]
    assert {id(p) for p in learner.anchor.parameters} == {id(p) for p in signal}
    assert all(isinstance(p, nn.Parameter) for p in learner.anchor.parameters)
