"""The training loop: from the first step to the model, as a generator of events.

`train` is the whole loop. Its decisions are made by small objects that take values and
return verdicts: `Schedule`, `Recovery`, `BestWeights` and the functions of `leakage`.
`Stepper` takes the steps, `Saver` writes and deletes files.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from napari_cosdd.devices import fast_math, release_cache, told_if_lost
from napari_cosdd.errors import (
    PosteriorCollapseError,
    SavingError,
    TrainingDivergedError,
)
from napari_cosdd.events import (
    Event,
    Finished,
    Reason,
    Saved,
    StepDone,
    Validated,
    Warned,
)
from napari_cosdd.methods.capabilities import DrawsNoise
from napari_cosdd.methods.values import Problem
from napari_cosdd.remedies import Remedy
from napari_cosdd.threads import threads_for
from napari_cosdd.training import leakage
from napari_cosdd.training.announce import preview, saves_memory, started
from napari_cosdd.training.batches import tensor_of
from napari_cosdd.training.gradients import evaluate
from napari_cosdd.training.properties import measured
from napari_cosdd.training.recovery import ROLLBACKS_ALLOWED
from napari_cosdd.training.run import TrainingRun
from napari_cosdd.training.weights import weights_of

#: Increment of the seed at each fresh start: far above the increments used elsewhere.
RESTART_SEED = 1000


def train(
    run: TrainingRun,
    *,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a method; the last event is Finished, with the trained model.

    Parameters
    ----------
    run : TrainingRun
        The training, before its first step.
    resume : bool
        Go on from the state beside the model file. On a CPU with a fixed number of
        threads and without a time limit, the result is bit for bit that of an
        uninterrupted training.
    stop : callable
        Polled after every step; True ends the training in good order.

    Raises
    ------
    TrainingDivergedError, PosteriorCollapseError, NotEnoughMemoryError,
    DeviceLostError
        If training fails finally; earlier results are in the files.
    BadModelFileError
        If there is nothing to resume, or it belongs to another training.
    SavingError
        If the final model could not be written; the message names the file that
        holds it instead.
    """
    if resume:
        run.restore()
    state, schedule = run.state, run.schedule
    lost = told_if_lost(Remedy.RESUME)
    with lost, fast_math(run.device), threads_for(run.device) as adapt_threads:
        yield started(run)
        yield from saves_memory(run)
        if state.step == 0:
            yield preview(run)
        reason = _ended(run, stop)
        while reason is None:
            adapt_threads()
            began, since_start = time.perf_counter(), state.steps_since_start
            phase = schedule.phase(since_start)
            if phase == "free" and state.reference is None:
                _draw_reference(run)
            share = state.share_since_start(run.progress)
            rate = schedule.learning_rate(share, since_start, run.recovery.restarts)
            moment = schedule.moment(share, since_start, run.recovery.restarts)
            batch = run.batches.draw(run.config.batch_size, run.rng)
            yield from run.stepper.step(batch, moment, rate, phase)
            state.step += 1
            run.spend(began)
            validation_is_due = state.step % run.config.validation_every == 0
            if validation_is_due or run.stepper.look_is_due:
                yield from _look(run)
            if validation_is_due:
                reason = yield from _validate(run)
            if run.saver.due:
                yield from _save(run)
            reason = reason or _ended(run, stop)
        yield from _finish(run, reason)


# The parts of the loop, in the order in which it uses them ---------------------------


def _ended(run: TrainingRun, stop: Callable[[], bool]) -> Reason | None:
    """Return the reason why the training ends now, or None."""
    config, state = run.config, run.state
    if state.step >= config.steps:
        return "completed"
    if run.progress >= 1:
        return "time limit"
    if config.patience and state.best.stale >= config.patience:
        return "plateau"
    if state.reference is not None and state.best.stale >= leakage.LEAKAGE_PATIENCE:
        return "plateau"
    stopped = run.processes.agree([float(stop())], run.device)[0]
    return "stopped" if stopped else None


def _draw_reference(run: TrainingRun) -> None:
    """Redraw training crops with the averaged weights when the networks are freed."""
    method, best = run.method, run.state.best
    if best.has_problem or not isinstance(method, DrawsNoise):
        return
    crops = tensor_of(run.crops.probes(run.config.seed).noisy, run.device)
    with run.stepper.averaged():
        reference = leakage.draw_reference(method, crops, run.config.seed)
    removed = run.processes.agree([reference.removed], run.device)[0]
    run.state.reference = replace(reference, removed=removed)
    best.stale = 0


def _look(run: TrainingRun) -> Iterator[Event]:
    """Show the losses of the last steps, and carry out the verdict on their updates."""
    update = run.stepper.look()
    if update is None:
        return
    verdict = run.recovery.after_updates(update.skipped, update.skipped_in_row)
    if verdict == "go back":
        run.stepper.restore(run.state.sound)
        step = run.state.step
        yield Warned(
            f"updates exploded at step {step}: going back to the last stable state"
        )
    elif verdict == "give up":
        kept = ""
        if run.state.best.exists and run.saver.keep_best(run.best_model()):
            kept = "; the best model before that was kept"
        raise TrainingDivergedError(
            f"training became unstable {ROLLBACKS_ALLOWED + 1} times, most recently at "
            f"step {run.state.step}{kept}. Lower the learning rate, or clip outliers"
        )
    state, progress, losses = run.state, run.progress, update.losses
    rest = state.seconds * (1 - progress) / max(progress, 1e-9)
    yield StepDone(state.step, progress, losses, update.rate, state.seconds, rest)


def _validate(
    run: TrainingRun, *, final: bool = False
) -> Generator[Event, None, Reason | None]:
    """Judge the averaged weights, and keep them if they are good.

    A problem of the weights leads to a fresh start or, at the end, to an error: a
    collapsed model is no result of a training that is long enough to be judged.

    Returns
    -------
    "collapsed" or None
        Why the training ends here.
    """
    began, state, method = time.perf_counter(), run.state, run.method
    with run.stepper.averaged():
        seed = run.config.seed + 1
        losses = evaluate(method, run.validation_crops, run.device, seed)
        agreed = run.processes.agree(list(losses.values()), run.device)
        losses = dict(zip(losses, agreed, strict=True))
        problem = method.problem(losses)
        kept = _judge(run, losses, problem)
        if kept:
            state.best.weights = weights_of(method)
        shown = preview(run)
    state.record(losses)
    run.spend(began)
    yield Validated(state.step, losses, kept)
    yield shown
    if math.isfinite(losses["loss"]):
        state.sound = run.stepper.state()
    if problem is None:
        return None
    return (yield from _handle_problem(run, problem, final))


def _judge(run: TrainingRun, losses: dict[str, float], problem: Problem | None) -> bool:
    """Judge a validation; return whether to keep the weights now in place.

    Weights are kept if they are the best by the method's criterion or if, once freed,
    they still remove the noise of redrawn crops. That test adds "redrawn" to `losses`.
    """
    state, method = run.state, run.method
    finite = math.isfinite(losses["loss"])
    criterion = method.criterion(losses) if finite else math.nan
    kept = state.best.improves(criterion, problem is not None)
    testable = state.reference is not None and finite and problem is None
    if testable and state.reference is not None and isinstance(method, DrawsNoise):
        noisy, clean = state.reference.noisy, state.reference.clean
        removed = leakage.noise_removed(method, noisy, clean, run.device)
        removed = run.processes.agree([removed], run.device)[0]
        losses["redrawn"] = removed
        if leakage.is_trusted(removed, state.reference):
            kept, state.best.stale = True, 0
    return kept


def _handle_problem(
    run: TrainingRun, problem: Problem, final: bool
) -> Generator[Event, None, Reason | None]:
    """Carry out the verdict of `Recovery` on a method's problem."""
    state, recovery, progress = run.state, run.recovery, run.progress
    verdict = recovery.after_problem(
        steps=state.steps_since_start,
        share=state.share_since_start(progress),
        progress=progress,
        final=final,
        has_sound_best=not state.best.has_problem,
    )
    event = f"{problem.name} ({problem.found})"
    if verdict == "start again":
        seed = run.config.seed + RESTART_SEED * recovery.restarts
        run.stepper = run.new_stepper(seed)
        state.start_again(progress, weights_of(run.method), run.stepper.state())
        yield Warned(f"{event}: starting again with another seed")
    elif verdict == "keep the best":
        yield Warned(
            f"{event}: the best model from before is kept; train again with another "
            "seed or a lower learning rate"
        )
        return "collapsed"
    elif verdict == "give up":
        run.saver.delete_model()
        raise PosteriorCollapseError(
            f"{problem.name} after {recovery.restarts} fresh starts: {problem.found}. "
            f"{problem.remedy}"
        )
    return None


def _save(run: TrainingRun) -> Iterator[Event]:
    """Save; a failure becomes a warning, and the training goes on."""
    if not run.saver.writes:
        return
    best = run.best_model() if run.state.best.exists else None
    try:
        run.saver.save(run.snapshot(), best)
    except SavingError as error:
        yield Warned(f"{error}; training goes on, and the files of the last save stay")


def _finish(run: TrainingRun, reason: Reason) -> Iterator[Event]:
    """Validate once more, then measure, write and return the model.

    A training that is stopped before its first step has no model.
    """
    state = run.state
    if reason == "stopped" and state.step == 0:
        return
    yield from _look(run)
    if reason == "stopped":  # before the extra validation below
        yield from _save(run)
    steps = state.history["step"]
    unjudged = run.recovery.restarts > 0 and state.best.has_problem
    if not steps or steps[-1] != state.step or unjudged:
        yield from _validate(run, final=True)
    if not state.best.exists:
        raise TrainingDivergedError(
            f"the losses of the validation were never finite in {state.step} steps. "
            "Lower the learning rate, or look for values in the images that are far "
            "from all others"
        )
    if run.recovery.skipped:
        yield Warned(
            f"{run.recovery.skipped} of {state.step} updates were left out, "
            "because their gradients were not finite or exploded"
        )
    if state.reference is not None and state.best.stale > 1:
        yield Warned(
            f"in the last {state.best.stale} looks the network was no better and "
            "fitted noise as signal: the result has the weights from before"
        )
    release_cache(run.device)
    model = yield from measured(run.best_model(), run.crops, reason)
    path = run.saver.finish(model, can_go_on=reason == "stopped")
    if path is not None:
        yield Saved(path, state.step)
    yield Finished(reason, state.step, model)
