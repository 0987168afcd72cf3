import math

import numpy as np
import pytest
import torch

from helpers import noise_model, tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import (
    BadModelFileError,
    CosddError,
    DeviceLostError,
    NotEnoughMemoryError,
    PosteriorCollapseError,
    SavingError,
    TrainingDivergedError,
)
from napari_cosdd.events import (
    Finished,
    Preview,
    Saved,
    Started,
    StepDone,
    Validated,
    Warned,
)
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.methods.values import TRAINED, Assets, Problem
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.training import recovery
from napari_cosdd.training.batches import batch_of
from napari_cosdd.training.gradients import evaluate
from napari_cosdd.training.saving import load_state, resume_path
from napari_cosdd.training.stepper import Stepper

COLLAPSE = Problem("the posterior collapsed", "it says nothing", "Train longer.")


def job(noisy, **training):
    return api.prepare_run(api.as_images(noisy, "YX"), tiny_recipe(**training))


def kinds(events, kind):
    return [e for e in events if isinstance(e, kind)]


def until_error(run):
    """Return the events up to an error of ours, and the error."""
    events = []
    try:
        for event in run:
            events.append(event)
    except CosddError as error:
        return events, error
    raise AssertionError("it ended well")


def test_events_tell_the_whole_story(noisy, tmp_path):
    events = list(job(noisy).run(output=tmp_path / "m.safetensors"))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert [e.step for e in kinds(events, StepDone)] == [1, 2, 3, 4, 5, 6]
    assert [e.step for e in kinds(events, Validated)] == [3, 6]
    assert kinds(events, Saved)[-1].path.exists()
    preview = kinds(events, Preview)[0]
    assert list(preview.images) == ["estimate now", "one sample"]
    assert all(i.shape == preview.noisy.shape for i in preview.images.values())
    assert abs(preview.noisy.mean() - noisy.mean()) < noisy.std()
    history = events[-1].result.history
    assert history["step"] == [3, 6]
    assert len({len(column) for column in history.values()}) == 1
    assert {"loss", "nll", "kl", "kl_0", "kl_1", "signal"} <= history.keys()
    assert not resume_path(tmp_path / "m.safetensors").exists()


def test_the_same_seed_gives_the_same_model(noisy):
    def weights(seed):
        *_, last = job(noisy, seed=seed).run()
        return last.result.method.state_dict()

    a, b, c = weights(1), weights(1), weights(2)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a[k], c[k]) for k in a)


def test_resumed_equals_uninterrupted(noisy, tmp_path):
    path = tmp_path / "m.safetensors"
    *_, whole = job(noisy, max_steps=8).run()
    steps = 0

    def stop():
        nonlocal steps
        steps += 1
        return steps > 4

    *_, first = job(noisy, max_steps=8).run(output=path, stop=stop)
    assert (first.reason, first.step) == ("stopped", 4)
    assert path.exists()
    events = list(job(noisy, max_steps=8).run(output=path, resume=True))
    assert events[0].first_step == 4
    resumed = events[-1].result
    for key, value in whole.result.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[key]), key
    assert resumed.history["step"] == whole.result.history["step"]
    assert resumed.history["loss"] == whole.result.history["loss"]


def test_resuming_from_nothing_or_other_settings_is_refused(noisy, tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(BadModelFileError, match="nothing to resume beside"):
        list(job(noisy).run(output=path, resume=True))
    polled = iter([False, False, True])
    list(job(noisy).run(output=path, stop=lambda: next(polled)))
    other = api.prepare_run(
        api.as_images(noisy, "YX"), tiny_recipe().changed({"n_latents": 5})
    )
    with pytest.raises(BadModelFileError, match="other settings"):
        list(other.run(output=path, resume=True))


def test_micro_batches_give_the_gradient_of_the_whole_batch(noisy):
    """Without latent noise the accumulated gradient is exactly that of the batch."""
    training = job(noisy, batch_size=4)
    batch = batch_of(
        training.crops.batch(4, np.random.default_rng(0)), torch.device("cpu")
    )
    gradients = []
    for micro_batch in (4, 3, 1):
        config = training.recipe.training.model_copy(
            update={"micro_batch": micro_batch}
        )
        stepper = Stepper.seeded(training.build, config, torch.device("cpu"), 0)
        stepper.method.ladder.sample_posterior = _quiet(stepper.method.ladder)
        stepper.accumulate(batch, TRAINED)
        gradients.append(
            [p.grad.clone() for p in stepper.parameters if p.grad is not None]
        )
    for other in gradients[1:]:
        for a, b in zip(gradients[0], other, strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def _quiet(ladder):
    original = ladder.sample_posterior
    return lambda features, noise: original(features, lambda level, s: torch.zeros(s))


def test_memory_running_out_halves_the_micro_batch(noisy, monkeypatch):
    original = COSDD.losses

    def hungry(self, batch, generator, stage=TRAINED):
        if len(batch.x) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return original(self, batch, generator, stage)

    training = job(noisy, max_steps=2, batch_size=4, validation_every=50)
    monkeypatch.setattr(COSDD, "losses", hungry)
    events = list(training.run())
    assert [e.message.split(":")[1] for e in kinds(events, Warned)] == [
        " going on with 2 crops at a time, which gives the same result more slowly",
        " going on with 1 crops at a time, which gives the same result more slowly",
    ]
    assert events[-1].step == 2


def test_memory_for_not_even_one_crop_is_a_sentence(noisy, monkeypatch):
    training = job(noisy, batch_size=1)
    events = training.run()
    next(events)

    def hungry(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(COSDD, "losses", hungry)
    with pytest.raises(NotEnoughMemoryError, match="use a smaller crop size or preset"):
        list(events)


def test_bad_updates_are_skipped_rolled_back_and_at_last_given_up(
    noisy, monkeypatch, tmp_path
):
    original, calls = COSDD.losses, 0

    def poisoned(self, batch, generator, stage=TRAINED):
        nonlocal calls
        losses = original(self, batch, generator, stage)
        calls += 1
        if calls > 3 and torch.is_grad_enabled():
            losses.objectives["signal"] = losses.objectives["signal"] * float("nan")
        return losses

    training = job(noisy, max_steps=1000, validation_every=3, batch_size=1)
    monkeypatch.setattr(COSDD, "losses", poisoned)
    path = tmp_path / "m.safetensors"
    events, error = until_error(training.run(output=path))
    assert isinstance(error, TrainingDivergedError)
    assert "unstable 4 times" in str(error)
    assert len(kinds(events, Warned)) == 3
    model = TrainedModel.load(path)
    assert all(torch.isfinite(w).all() for w in model.method.state_dict().values())


def test_updates_left_out_are_counted_and_told(noisy, monkeypatch):
    original, calls = COSDD.losses, 0

    def odd(self, batch, generator, stage=TRAINED):
        nonlocal calls
        losses = original(self, batch, generator, stage)
        if torch.is_grad_enabled():
            calls += 1
            if calls in (4, 6):
                losses.objectives["signal"] *= float("nan")
        return losses

    training = job(noisy, max_steps=12, validation_every=6)
    monkeypatch.setattr(COSDD, "losses", odd)
    *_, warned, last = (e for e in training.run() if isinstance(e, (Warned, Finished)))
    assert "2 of 12 updates were left out" in warned.message
    assert last.reason == "completed"


def test_collapse_restarts_with_another_seed_and_is_never_delivered(noisy, monkeypatch):
    monkeypatch.setattr(COSDD, "problem", lambda self, losses: COLLAPSE)
    monkeypatch.setattr(recovery, "JUDGED_STEPS", 3)
    events, error = until_error(job(noisy, max_steps=60).run())
    assert isinstance(error, PosteriorCollapseError)
    assert "collapsed after 2 fresh starts" in str(error)
    assert len(kinds(events, Warned)) == 2
    assert not kinds(events, Finished)


@pytest.mark.parametrize("others", [True, False])
def test_a_collapsed_model_leaves_no_file_but_that_of_others(
    noisy, monkeypatch, tmp_path, others
):
    path = tmp_path / "m.safetensors"
    if others:
        path.write_bytes(b"another model")
    monkeypatch.setattr(COSDD, "problem", lambda self, losses: COLLAPSE)
    monkeypatch.setattr(recovery, "JUDGED_STEPS", 3)
    training = job(noisy, max_steps=60, save_every=1e-9)
    _, error = until_error(training.run(output=path))
    assert isinstance(error, PosteriorCollapseError)
    assert path.exists() is others
    assert not others or path.read_bytes() == b"another model"


def test_a_decoder_that_ignores_the_latents_is_noticed(noisy):
    """Cut the code off: what is left is what a collapsed posterior delivers."""
    training = job(noisy, max_steps=30, learning_rate=0.01)

    def deaf():
        method = type(training).build(training)
        with torch.no_grad():
            method.ladder.code.weight.zero_()
            method.ladder.code.bias.zero_()
        method.ladder.code.requires_grad_(False)
        return method

    stepper = Stepper.seeded(deaf, training.recipe.training, torch.device("cpu"), 0)
    crops = training.crops.validation()
    losses = evaluate(stepper.method, crops, torch.device("cpu"), 0)
    assert stepper.method.problem(losses).name == "the posterior collapsed"


def test_time_limit_and_plateau_end_in_good_order(noisy):
    *_, last = job(noisy, max_steps=10**6, time_limit=0.01).run()
    assert last.reason == "time limit"
    *_, last = job(
        noisy, max_steps=500, validation_every=1, patience=3, learning_rate=1e-9
    ).run()
    assert last.reason == "plateau"


def test_training_uses_the_global_generators_of_nobody(noisy):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    list(job(noisy).run())
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_a_collapse_at_the_very_end_is_an_error_too(noisy, monkeypatch, tmp_path):
    monkeypatch.setattr(recovery, "JUDGED_STEPS", 3)
    monkeypatch.setattr(COSDD, "problem", lambda self, losses: COLLAPSE)
    path = tmp_path / "m.safetensors"
    _, error = until_error(
        job(noisy, max_steps=5, validation_every=50).run(output=path)
    )
    assert isinstance(error, PosteriorCollapseError)
    assert not path.exists()


def test_a_save_that_fails_does_not_end_the_training(noisy, monkeypatch, tmp_path):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_cosdd.training.saving.torch.save", full)
    training = job(noisy, max_steps=3, save_every=1e-9)
    events = list(training.run(output=tmp_path / "m.safetensors"))
    assert any("No space left" in e.message for e in kinds(events, Warned))
    assert isinstance(events[-1], Finished)
    assert (tmp_path / "m.safetensors").exists()


def test_stopped_before_the_first_step_there_is_no_model(noisy, tmp_path):
    events = list(job(noisy).run(output=tmp_path / "m", stop=lambda: True))
    assert not kinds(events, Finished)
    assert list(tmp_path.iterdir()) == []


def test_another_seed_splits_otherwise_and_is_not_resumed(noisy, tmp_path):
    path = tmp_path / "m.safetensors"
    polled = iter([False, False, True])
    list(job(noisy).run(output=path, stop=lambda: next(polled)))
    with pytest.raises(BadModelFileError, match="other settings"):
        list(job(noisy, seed=4).run(output=path, resume=True))


def test_another_noise_model_is_not_resumed_with(noisy, tmp_path):
    def prepared_with(high):
        assets = Assets(noise_model("mixture", high))
        return api.prepare_run(api.as_images(noisy), tiny_recipe("pn2v"), assets=assets)

    path = tmp_path / "m.safetensors"
    polled = iter([False, False, True])
    list(prepared_with(1000.0).run(output=path, stop=lambda: next(polled)))
    with pytest.raises(BadModelFileError, match="another noise model"):
        list(prepared_with(500.0).run(output=path, resume=True))
    *_, last = prepared_with(1000.0).run(output=path, resume=True)
    assert last.step == 6


def test_a_folder_that_cannot_be_written_is_found_before_training(noisy, tmp_path):
    (tmp_path / "file").touch()
    run_ = job(noisy).run(output=tmp_path / "file" / "m.safetensors")
    with pytest.raises(SavingError, match="cannot be written to"):
        next(run_)
    events = list(job(noisy).run(output=tmp_path / "new" / "m.safetensors"))
    assert kinds(events, Saved)[-1].path.exists()


def test_a_lost_gpu_is_told_and_what_was_saved_stays(noisy, monkeypatch, tmp_path):
    training = job(noisy, max_steps=100, save_every=1e-9)
    path = tmp_path / "m.safetensors"
    losses, calls = COSDD.losses, iter(range(20))

    def lost(self, *arguments):
        if next(calls, None) is None:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        return losses(self, *arguments)

    monkeypatch.setattr(COSDD, "losses", lost)
    _, error = until_error(training.run(output=path))
    assert isinstance(error, DeviceLostError)
    assert "--resume" in str(error)
    monkeypatch.setattr(COSDD, "losses", losses)
    stopped = load_state(resume_path(path))["state"]["step"]
    events = list(training.run(output=path, resume=True, stop=lambda: True))
    assert events[-1].step == stopped > 0


def test_stopped_where_nothing_can_be_written_the_model_is_kept(
    noisy, monkeypatch, tmp_path
):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_cosdd.training.saving.torch.save", full)
    polled = iter([False, False, True])
    path = tmp_path / "m.safetensors"
    events = list(job(noisy).run(output=path, stop=lambda: next(polled)))
    assert any("No space left" in e.message for e in kinds(events, Warned))
    assert isinstance(events[-1], Finished)
    assert path.exists()


def test_a_late_collapse_leaves_the_model_from_before(noisy, monkeypatch, tmp_path):
    steps = iter(range(100))
    monkeypatch.setattr(
        COSDD, "problem", lambda self, losses: COLLAPSE if next(steps) > 2 else None
    )
    monkeypatch.setattr(recovery, "JUDGED_STEPS", 3)
    path = tmp_path / "m.safetensors"
    training = job(noisy, max_steps=5, validation_every=1)
    events = list(training.run(output=path))
    assert events[-1].reason == "collapsed"
    assert "the best model from before is kept" in kinds(events, Warned)[-1].message
    assert len(kinds(events, Validated)) == 4
    assert path.exists()


@pytest.mark.parametrize("what", ["margin", "reversible"])
def test_what_cannot_be_measured_costs_no_model(noisy, monkeypatch, what):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(f"napari_cosdd.training.properties.measure_{what}", full)
    events = list(job(noisy, max_steps=2).run())
    model = events[-1].result
    assert (model.margin is None) is (what == "margin")
    assert any("could not be measured" in e.message for e in kinds(events, Warned))


def test_what_was_stopped_may_not_know_its_noise(noisy, monkeypatch):
    monkeypatch.setattr(
        "napari_cosdd.training.properties.measure_reversible", lambda *_: True
    )
    training = job(noisy, max_steps=4)
    assert list(training.run())[-1].result.reversible
    polls = iter([False, False, True])
    stopped = list(training.run(stop=lambda: next(polls, True)))[-1]
    assert stopped.reason == "stopped"
    assert not stopped.result.reversible


def test_a_collapse_seen_at_the_last_step_is_an_error_too(noisy, monkeypatch):
    """After a fresh start that is too young to be judged on its way."""
    monkeypatch.setattr(recovery, "JUDGED_STEPS", 5)
    monkeypatch.setattr(COSDD, "problem", lambda self, losses: COLLAPSE)
    _, error = until_error(job(noisy, max_steps=10, validation_every=2).run())
    assert isinstance(error, PosteriorCollapseError)


def test_weights_that_were_never_judged_are_no_result(noisy, monkeypatch, tmp_path):
    def nothing(*args):
        return {"loss": math.nan, "explained": 0.0, "explainable": 0.0} | dict.fromkeys(
            ("explainable_error", "nll", "kl"), math.nan
        )

    monkeypatch.setattr("napari_cosdd.training.loop.evaluate", nothing)
    path = tmp_path / "m.safetensors"
    _, error = until_error(job(noisy, max_steps=5).run(output=path))
    assert isinstance(error, TrainingDivergedError)
    assert "never finite" in str(error)
    assert not path.exists()


def test_other_targets_are_not_resumed(noisy, tmp_path):
    path, polled = tmp_path / "m.safetensors", iter([False, False, True])
    images, recipe = api.as_images(noisy, "YX"), tiny_recipe("n2n")
    first = api.prepare_run(images, recipe, targets=api.as_images(noisy + 1, "YX"))
    list(first.run(output=path, stop=lambda: next(polled)))
    other = api.prepare_run(images, recipe, targets=api.as_images(noisy[::-1], "YX"))
    with pytest.raises(BadModelFileError, match="other settings or images"):
        list(other.run(output=path, resume=True))


def test_skipped_updates_in_a_row_are_counted_on_after_a_resume(noisy, tmp_path):
    path = tmp_path / "m.safetensors"
    list(job(noisy).run(output=path, stop=iter([False, False, True]).__next__))
    run = job(noisy).start(path)
    run.restore()
    run.recovery.skipped_in_row = 7
    run.saver.save(run.snapshot(), None)
    again = job(noisy).start(path)
    again.restore()
    assert float(again.stepper.guard.skipped_in_row) == 7
