"""The state of one training, and the actions that its loop is made of."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_cosdd.data.patches import Patches
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
from napari_cosdd.training.checkpoint import (
    TrainedModel,
    finite_or_none,
    load_state,
    plain_generator_state,
    resume_path,
    save_state,
    set_generator_state,
)
from napari_cosdd.training.config import TrainingConfig
from napari_cosdd.training.learner import Learner, weights_of
from napari_cosdd.training.memory import estimate_memory
from napari_cosdd.training.optim import cosine_rate
from napari_cosdd.training.team import Team

#: What a training starts from that starts from nothing.
RANDOM = "random weights"
#: Bad updates in a row before the weights are rolled back; roll-backs before the end.
SKIPS_ALLOWED, ROLLBACKS_ALLOWED = 20, 3
#: Fresh starts after a collapse; from which share and step on it is judged.
RESTARTS_ALLOWED, JUDGED_FROM, JUDGED_STEP = 2, 0.1, 200
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
    trained_on : dict, optional
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
        trained_on: dict[str, Any] | None = None,
        adapting: bool = False,
    ) -> None:
        self.name, self.build, self.patches = name, build, patches
        self.config, self.device, self.output = config, device, output
        self.adapting = adapting
        self.team = Team()
        self.writes_to = output if self.team.leads else None
        self.trained_on = trained_on or {}
        self.step_count = 0
        self.seconds = 0.0
        self.restarts = 0
        self.started_at, self.started_step = 0.0, 0  # the last fresh start
        self.skipped, self.skipped_in_row, self.rollbacks = 0, 0, 0
        self.best, self.stale = math.inf, 0
        self.history: dict[str, list[float | None]] = {"step": [], "seconds": []}
        self.crops = np.random.default_rng(config.seed)
        self.validation_crops = patches.validation(config.seed)
        self.last_save = time.monotonic()
        self.wrote_model = False
        self._begin(config.seed)

    def _begin(self, seed: int) -> None:
        self.learner = Learner.seeded(
            self.build, self.config, self.device, seed, adapting=self.adapting
        )
        self.best_weights = weights_of(self.learner.method)
        self.good = self.learner.state()

    # What the loop asks -----------------------------------------------------

    def started(self) -> Started:
        """Say what begins, and what it will take."""
        method, learner = self.learner.method, self.learner
        origin = self.trained_on.get("start", RANDOM)
        return Started(
            device=describe_device(self.device),
            n_parameters=sum(p.numel() for p in learner.parameters),
            memory=estimate_memory(method, self.patches.crop, learner.micro_batch),
            first_step=self.step_count,
            max_steps=self.config.steps,
            description=f"{method.describe()}, from {origin}",
        )

    @property
    def progress(self) -> float:
        """Share of the training done, by steps or by time, whichever is further."""
        share = self.step_count / self.config.steps
        if self.config.time_limit is not None:
            share = max(share, self.seconds / (60 * self.config.time_limit))
        return min(1.0, share)

    @property
    def progress_since_start(self) -> float:
        """The same, counted from the last fresh start."""
        return (self.progress - self.started_at) / max(1e-9, 1 - self.started_at)

    def finished(self, stop: Callable[[], bool]) -> Reason | None:
        """Return why training is over, or None."""
        if self.step_count >= self.config.steps:
            return "completed"
        if self.progress >= 1:
            return "time limit"
        if self.config.patience and self.stale >= self.config.patience:
            return "plateau"
        stopped = self.team.agree([float(stop())], self.device)[0]
        return "stopped" if stopped else None

    def validation_due(self) -> bool:
        """Whether the fixed crops are to be looked at now."""
        return self.step_count % self.config.validation_every == 0

    def save_due(self) -> bool:
        """Whether the state for resuming is old enough to be written again."""
        age = time.monotonic() - self.last_save
        return self.writes_to is not None and age > 60 * self.config.save_every

    # What the loop does -----------------------------------------------------

    def step(self) -> Iterator[Event]:
        """Take one optimizer step."""
        began = time.perf_counter()
        share = self.progress_since_start
        rate = self.config.learning_rate * cosine_rate(
            share, self.step_count - self.started_step, self.config.warmup_steps
        )
        batch = self.patches.batch(self.config.batch_size, self.crops)
        losses: dict[str, float] = {}
        for outcome in self.learner.update(batch, share, rate):
            if isinstance(outcome, Warned):
                yield outcome
            else:
                losses = outcome
        if losses.pop("stepped"):
            self.skipped_in_row = 0
        else:
            yield from self._skip()
        self.step_count += 1
        self._spend(began)
        rest = self.seconds * (1 - self.progress) / max(self.progress, 1e-9)
        yield StepDone(self.step_count, self.progress, losses, rate, self.seconds, rest)

    def _spend(self, began: float) -> None:
        """Count the time since `began`, as the first process of a team has it."""
        seconds = self.seconds + time.perf_counter() - began
        self.seconds = self.team.agree([seconds], self.device)[0]

    def _skip(self) -> Iterator[Event]:
        """Count a bad update; after many in a row go back to the last good state."""
        self.skipped += 1
        self.skipped_in_row += 1
        if self.skipped_in_row < SKIPS_ALLOWED:
            return
        if self.rollbacks == ROLLBACKS_ALLOWED:
            if self.writes_to is not None and math.isfinite(self.best):
                self._model().save(self.writes_to)
            raise TrainingDivergedError(
                f"training became unstable {ROLLBACKS_ALLOWED + 1} times, at last at "
                f"step {self.step_count}; the best model before that was kept. Lower "
                "the learning rate, use fewer Gaussians, or clip outliers"
            )
        self.rollbacks += 1
        self.skipped_in_row = 0
        self.learner.restore(self.good)
        yield Warned(
            f"updates exploded at step {self.step_count}: back to the last good state"
        )

    def preview(self) -> Preview:
        """Return a validation crop as the present weights have it."""
        crop = self.validation_crops[:1]
        return Preview(self.step_count, *self.learner.preview(crop))

    def validate(self, *, final: bool = False) -> Iterator[Event]:
        """Judge the averaged weights; keep them if best.

        A collapsed posterior means a fresh start, or at the end an error: what the
        latents do not carry is never delivered as a result.
        """
        began = time.perf_counter()
        learner = self.learner
        learner.average.swap()
        try:
            losses = learner.evaluate(self.validation_crops, self.config.seed + 1)
            agreed = self.team.agree(list(losses.values()), self.device)
            losses = dict(zip(losses, agreed, strict=True))
            better = losses["loss"] < self.best
            if better:
                self.best, self.stale = losses["loss"], 0
                self.best_weights = weights_of(learner.method)
            else:
                self.stale += 1
            preview = self.preview()
        finally:
            learner.average.swap()
        self._record(losses)
        self._spend(began)
        yield Validated(self.step_count, losses, better)
        yield preview
        if math.isfinite(losses["loss"]):
            self.good = learner.state()
        judged = self._judged() or (final and self.restarts > 0)
        if judged and learner.method.collapsed(losses):
            yield self._restart(losses, possible=not final)

    def _judged(self) -> bool:
        steps = self.step_count - self.started_step
        return steps >= JUDGED_STEP and self.progress_since_start > JUDGED_FROM

    def _restart(self, losses: dict[str, float], *, possible: bool) -> Warned:
        """Begin anew with another seed: the latents carry no signal."""
        numbers = (
            f"the latents explain {max(0.0, losses['explained']):.2f} of a signal "
            f"power of {losses['explainable']:.2f}"
        )
        late = self.progress > RESTART_UNTIL
        if late or not possible or self.restarts == RESTARTS_ALLOWED:
            if self.writes_to is not None and self.wrote_model:
                self.writes_to.unlink(missing_ok=True)  # it may have collapsed already
            raise PosteriorCollapseError(
                f"the posterior collapsed after {self.restarts} fresh starts: "
                f"{numbers}. "
                "Train longer, lower the learning rate, or use a shorter receptive "
                "field; the noise axis may also be the wrong one"
            )
        self.restarts += 1
        self.started_at, self.started_step = self.progress, self.step_count
        self.best, self.stale = math.inf, 0
        self._begin(self.config.seed + 1000 * self.restarts)
        return Warned(
            f"the posterior collapsed ({numbers}): starting again with another seed"
        )

    def _record(self, losses: dict[str, float]) -> None:
        row = {"step": float(self.step_count), "seconds": self.seconds, **losses}
        length = len(self.history["step"])
        for key in row.keys() | self.history.keys():
            column = self.history.setdefault(key, [None] * length)
            column.append(finite_or_none(row[key]) if key in row else None)

    # Keeping ----------------------------------------------------------------

    KEPT = (
        "step_count",
        "seconds",
        "restarts",
        "started_at",
        "started_step",
        "skipped",
        "skipped_in_row",
        "rollbacks",
        "best",
        "stale",
        "history",
        "best_weights",
        "good",
        "wrote_model",
    )

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
        state = {name: getattr(self, name) for name in self.KEPT}
        state["learner"] = self.learner.state()
        state["crops"] = plain_generator_state(self.crops)
        state["settings"] = self._settings()
        save_state(resume_path(self.writes_to), state)
        if math.isfinite(self.best):
            self._model().save(self.writes_to)
            self.wrote_model = True
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
        state = load_state(path)
        if state.get("settings") != self._settings():
            raise BadModelFileError(
                f"{path.name} belongs to a training with other settings or images"
            )
        self.learner.restore(state["learner"])
        for name in self.KEPT:
            setattr(self, name, state[name])
        set_generator_state(self.crops, state["crops"])

    def _settings(self) -> dict[str, Any]:
        return {
            "method": self.learner.method.config.model_dump(),
            "images": self.trained_on.get("sha256", ""),
            "crops": [*self.patches.crop, self.config.seed],
            "validation_share": self.config.validation_share,
        }

    def finish(self, reason: Reason) -> Iterator[Event]:
        """Validate once more, write the files and hand over the model.

        Stopped before the first step there is no model: random weights are no
        result.
        """
        if reason == "stopped" and self.step_count == 0:
            return
        if reason == "stopped":
            self.save_progress()  # before a validation that the schedule knows not of
        steps = self.history["step"]
        if not steps or steps[-1] != self.step_count:
            yield from self.validate(final=True)
        if self.skipped:
            yield Warned(
                f"{self.skipped} of {self.step_count} updates were left out, for "
                "their gradients were not finite or exploded"
            )
        model = self._model()
        if self.writes_to is not None:
            model.save_or_rescue(self.writes_to)
            if reason != "stopped":
                resume_path(self.writes_to).unlink(missing_ok=True)
            yield Saved(self.writes_to, self.step_count)
        free_memory(self.device)
        yield Finished(reason, self.step_count, model)

    def _model(self) -> TrainedModel:
        """Return the best weights so far as a model on the CPU."""
        with torch.random.fork_rng(devices=[]):
            method = self.build()
        method.load_state_dict(self.best_weights)
        return TrainedModel(
            name=self.name,
            method=method.eval(),
            training=self.config,
            trained_on=self.trained_on,
            history={k: list(v) for k, v in self.history.items()},
        )
