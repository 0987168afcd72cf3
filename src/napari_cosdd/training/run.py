"""The state of one training, and the actions that its loop is made of."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_cosdd.data.patches import Patches
from napari_cosdd.data.trained_on import TrainedOn
from napari_cosdd.devices import describe_device, free_memory
from napari_cosdd.errors import (
    BadModelFileError,
    PosteriorCollapseError,
    SavingError,
    TrainingDivergedError,
)
from napari_cosdd.events import (
    Event,
    Finished,
    Preview,
    Reason,
    Saved,
    Started,
    StepDone,
    Validated,
    Warned,
)
from napari_cosdd.methods.base import Method
from napari_cosdd.training.checkpoint import TrainedModel
from napari_cosdd.training.config import TrainingConfig
from napari_cosdd.training.learner import Learner, weights_of
from napari_cosdd.training.memory import estimate_memory
from napari_cosdd.training.optim import cosine_rate
from napari_cosdd.training.resume import (
    load_state,
    plain_generator_state,
    resume_path,
    save_state,
    set_generator_state,
)
from napari_cosdd.training.state import TrainingState
from napari_cosdd.training.team import Team

#: What a training starts from that starts from nothing.
RANDOM = "random weights"
#: Bad updates in a row before the weights are rolled back; roll-backs before the end.
SKIPS_ALLOWED, ROLLBACKS_ALLOWED = 20, 3
#: Fresh starts after a collapse.
RESTARTS_ALLOWED = 2
#: Later than this share, too little time is left for a fresh start.
RESTART_UNTIL = 0.6


class TrainingRun:
    """The state of one training, and the actions of its loop.

    Parameters
    ----------
    name : str
        Of the method, as in METHODS.
    build : callable
        Makes the method, with random weights or those to start from.
    patches : Patches
        Training and validation crops.
    config : TrainingConfig
        Settings.
    device : torch.device
        Where to compute.
    output : Path, optional
        Model file. It and the state for resuming are written every
        `config.save_every` minutes and at the end.
    trained_on : TrainedOn, optional
        Summary of the data for the model file.
    adapting : bool
        The weights are trained ones: what knows the signal learns slowly.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[], Method],
        patches: Patches,
        config: TrainingConfig,
        device: torch.device,
        *,
        output: Path | None = None,
        trained_on: TrainedOn | None = None,
        adapting: bool = False,
    ) -> None:
        self.name, self.build, self.patches = name, build, patches
        self.config, self.device, self.output = config, device, output
        self.adapting = adapting
        self.team = Team()
        self.writes_to = output if self.team.leads else None
        self.trained_on = trained_on or TrainedOn()
        self.crops = np.random.default_rng(config.seed)
        self.validation_crops = patches.validation(config.seed)
        self.last_save = time.monotonic()
        self.learner = self._learner(config.seed)
        self.state = TrainingState(
            weights_of(self.learner.method), self.learner.state()
        )

    def _learner(self, seed: int) -> Learner:
        return Learner.seeded(
            self.build, self.config, self.device, seed, adapting=self.adapting
        )

    # What the loop asks -----------------------------------------------------

    def started(self) -> Started:
        """Say what begins, and what it will take."""
        method, learner = self.learner.method, self.learner
        origin = self.trained_on.start or RANDOM
        return Started(
            device=describe_device(self.device),
            n_parameters=sum(p.numel() for p in learner.parameters),
            memory=estimate_memory(method, self.patches.crop, learner.micro_batch),
            first_step=self.state.step,
            max_steps=self.config.steps,
            description=f"{method.describe()}, from {origin}",
        )

    @property
    def progress(self) -> float:
        """Share of the training done, by steps or by time, whichever is further."""
        return self.state.progress(self.config.steps, self.config.time_limit)

    def finished(self, stop: Callable[[], bool]) -> Reason | None:
        """Return why training is over, or None."""
        if self.state.given_up:
            return "collapsed"
        if self.state.step >= self.config.steps:
            return "completed"
        if self.progress >= 1:
            return "time limit"
        if self.config.patience and self.state.stale >= self.config.patience:
            return "plateau"
        stopped = self.team.agree([float(stop())], self.device)[0]
        return "stopped" if stopped else None

    def validation_due(self) -> bool:
        """Whether the fixed crops are to be looked at now."""
        return self.state.step % self.config.validation_every == 0

    def save_due(self) -> bool:
        """Whether the state for resuming is old enough to be written again."""
        age = time.monotonic() - self.last_save
        return self.writes_to is not None and age > 60 * self.config.save_every

    # What the loop does -----------------------------------------------------

    def step(self) -> Iterator[Event]:
        """Take one optimizer step."""
        began, state = time.perf_counter(), self.state
        share = state.since_start(self.progress)
        rate = self.config.learning_rate * cosine_rate(
            share, state.step - state.started_step, self.config.warmup_steps
        )
        batch = self.patches.batch(self.config.batch_size, self.crops)
        losses, stepped = yield from self.learner.update(batch, share, rate)
        if stepped:
            state.skipped_in_row = 0
        else:
            yield from self._skip()
        state.step += 1
        self._spend(began)
        rest = state.seconds * (1 - self.progress) / max(self.progress, 1e-9)
        yield StepDone(state.step, self.progress, losses, rate, state.seconds, rest)

    def _spend(self, began: float) -> None:
        """Count the time since `began`, as the first process of a team has it."""
        seconds = self.state.seconds + time.perf_counter() - began
        self.state.seconds = self.team.agree([seconds], self.device)[0]

    def _skip(self) -> Iterator[Event]:
        """Count a bad update; after many in a row go back to the last good state."""
        state = self.state
        state.skipped += 1
        state.skipped_in_row += 1
        if state.skipped_in_row < SKIPS_ALLOWED:
            return
        if state.rollbacks == ROLLBACKS_ALLOWED:
            kept = ""
            if self.writes_to is not None and math.isfinite(state.best):
                self._model().save_or_rescue(self.writes_to)
                kept = "; the best model before that was kept"
            raise TrainingDivergedError(
                f"training became unstable {ROLLBACKS_ALLOWED + 1} times, at last at "
                f"step {state.step}{kept}. Lower the learning rate, use fewer "
                "Gaussians, or clip outliers"
            )
        state.rollbacks += 1
        state.skipped_in_row = 0
        self.learner.restore(state.good)
        yield Warned(
            f"updates exploded at step {state.step}: back to the last good state"
        )

    def preview(self) -> Preview:
        """Return a validation crop as the present weights have it."""
        crop = self.validation_crops[:1]
        return Preview(self.state.step, *self.learner.preview(crop))

    def validate(self, *, final: bool = False) -> Iterator[Event]:
        """Judge the averaged weights; keep them if best.

        A collapsed posterior means a fresh start, or at the end an error: what the
        latents do not carry is never delivered as a result.
        """
        began = time.perf_counter()
        learner, state = self.learner, self.state
        learner.average.swap()
        try:
            losses = learner.evaluate(self.validation_crops, self.config.seed + 1)
            agreed = self.team.agree(list(losses.values()), self.device)
            losses = dict(zip(losses, agreed, strict=True))
            collapsed = learner.method.collapsed(losses)
            better = state.is_best(losses["loss"], collapsed)
            if better:
                state.best_weights = weights_of(learner.method)
            preview = self.preview()
        finally:
            learner.average.swap()
        state.record(losses)
        self._spend(began)
        yield Validated(state.step, losses, better)
        yield preview
        if math.isfinite(losses["loss"]):
            state.good = learner.state()
        judged = state.old_enough(self.progress) or (final and state.restarts > 0)
        if judged and collapsed:
            yield self._restart(losses, possible=not final)

    def _restart(self, losses: dict[str, float], *, possible: bool) -> Warned:
        """Begin anew with another seed: the latents carry no signal.

        Where that is no longer possible the training ends with the best model from
        before the collapse, if there is one.
        """
        numbers = (
            f"the latents explain {max(0.0, losses['explained']):.2f} of a signal "
            f"power of {losses['explainable']:.2f}"
        )
        state, late = self.state, self.progress > RESTART_UNTIL
        if late or not possible or state.restarts == RESTARTS_ALLOWED:
            if not state.best_collapsed:
                state.given_up = True
                return Warned(
                    f"the posterior collapsed ({numbers}): the best model from before "
                    "is kept; train again with another seed or a lower learning rate"
                )
            if self.writes_to is not None and state.wrote_model:
                self.writes_to.unlink(missing_ok=True)  # it may have collapsed already
            raise PosteriorCollapseError(
                f"the posterior collapsed after {state.restarts} fresh starts: "
                f"{numbers}. "
                "Train longer, lower the learning rate, or use a shorter receptive "
                "field; the noise axis may also be the wrong one"
            )
        state.restarts += 1
        self.learner = self._learner(self.config.seed + 1000 * state.restarts)
        weights = weights_of(self.learner.method)
        state.begin_again(self.progress, weights, self.learner.state())
        return Warned(
            f"the posterior collapsed ({numbers}): starting again with another seed"
        )

    # Keeping ----------------------------------------------------------------

    def save_or_warn(self) -> Iterator[Event]:
        """Save; if that fails, training goes on and saying so must do."""
        try:
            self.save_progress()
        except SavingError as error:
            self.last_save = time.monotonic()
            yield Warned(f"{error}; training goes on, the last save stays")

    def save_progress(self) -> None:
        """Write the best model so far and the state for resuming."""
        if self.writes_to is None:
            return
        kept = {
            "training": vars(self.state),
            "learner": self.learner.state(),
            "crops": plain_generator_state(self.crops),
            "settings": self._settings(),
            "recipe": {
                "method": self.name,
                "settings": self.learner.method.config.model_dump(),
                "training": self.config.model_dump(),
            },
        }
        save_state(resume_path(self.writes_to), kept)
        if math.isfinite(self.state.best):
            self._model().save(self.writes_to)
            self.state.wrote_model = True
        self.last_save = time.monotonic()

    def resume(self) -> None:
        """Go on from the state beside the model file.

        Raises
        ------
        BadModelFileError
            If there is none, or it belongs to other settings.
        """
        if self.output is None:
            raise BadModelFileError("to resume, name the model file to go on with")
        path = resume_path(self.output)
        kept = load_state(path)
        if kept.get("settings") != self._settings():
            raise BadModelFileError(
                f"{path.name} belongs to a training with other settings or images"
            )
        self.learner.restore(kept["learner"])
        self.state = TrainingState(**kept["training"])
        set_generator_state(self.crops, kept["crops"])

    def _settings(self) -> dict[str, Any]:
        return {
            "method": self.learner.method.config.model_dump(),
            "images": self.trained_on.sha256,
            "crops": [*self.patches.crop, self.config.seed],
            "validation_share": self.config.validation_share,
        }

    def finish(self, reason: Reason) -> Iterator[Event]:
        """Validate once more, write the files and hand over the model.

        Stopped before the first step there is no model: random weights are no
        result.
        """
        state = self.state
        if reason == "stopped" and state.step == 0:
            return
        if reason == "stopped":  # before a validation that the schedule knows not of
            yield from self.save_or_warn()
        steps = state.history["step"]
        if not steps or steps[-1] != state.step:
            yield from self.validate(final=True)
        if state.skipped:
            yield Warned(
                f"{state.skipped} of {state.step} updates were left out, for "
                "their gradients were not finite or exploded"
            )
        model = self._model()
        if self.writes_to is not None:
            model.save_or_rescue(self.writes_to)
            if reason != "stopped":
                resume_path(self.writes_to).unlink(missing_ok=True)
            yield Saved(self.writes_to, state.step)
        free_memory(self.device)
        yield Finished(reason, state.step, model)

    def _model(self) -> TrainedModel:
        """Return the best weights so far as a model on the CPU."""
        with torch.random.fork_rng(devices=[]):
            method = self.build()
        method.load_state_dict(self.state.best_weights)
        return TrainedModel(
            name=self.name,
            method=method.eval(),
            training=self.config,
            trained_on=self.trained_on,
            history={k: list(v) for k, v in self.state.history.items()},
        )
