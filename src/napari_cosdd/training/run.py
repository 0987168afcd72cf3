"""The state of one training, and the actions that its loop is made of."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.devices import describe_device, free_memory
from napari_cosdd.events import (
    Event,
    Finished,
    Preview,
    Reason,
    Started,
    StepDone,
    Validated,
    Warned,
)
from napari_cosdd.methods.base import GenerativeMethod, Method
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training import keeping, redrawn, rescue
from napari_cosdd.training.distributed import Team
from napari_cosdd.training.learner import Learner, own_random_state, weights_of
from napari_cosdd.training.memory import estimate_memory
from napari_cosdd.training.optim import cosine_rate
from napari_cosdd.training.state import TrainingState

#: What a training starts from that starts from nothing.
RANDOM = "random weights"
#: Validations without weights to keep after which a training that is no longer anchored
#: ends: by all that was seen none follow.
LEAKAGE_PATIENCE = 20


class TrainingRun:
    """The state of one training, and the actions of its loop.

    Parameters
    ----------
    name : str
        Of the method, as in METHODS.
    build : callable
        Makes the method, with random weights or those to start from.
    patches : CropSampler
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
    start : TrainedModel, optional
        The model that was given to start from; kept for whoever resumes.
    adapting : bool
        The weights are trained ones: what knows the signal learns slowly.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[], Method],
        patches: CropSampler,
        config: TrainingConfig,
        device: torch.device,
        *,
        output: Path | None = None,
        trained_on: TrainedOn | None = None,
        start: TrainedModel | None = None,
        adapting: bool = False,
    ) -> None:
        self.name, self.build, self.patches = name, build, patches
        self.config, self.device, self.output = config, device, output
        self.start, self.adapting = start, adapting
        self.team = Team()
        self.writes_to = output if self.team.leads else None
        self.trained_on = trained_on or TrainedOn()
        self.crops = np.random.default_rng(config.seed)
        self.validation_crops = patches.validation(config.seed)
        self.last_save = time.monotonic()
        self.learner = self.new_learner(config.seed)
        self.state = TrainingState(
            weights_of(self.learner.method), self.learner.state()
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
        if self.state.redrawn is not None and self.state.stale >= LEAKAGE_PATIENCE:
            return "plateau"
        stopped = self.team.agree([float(stop())], self.device)[0]
        return "stopped" if stopped else None

    @property
    def steps_since_start(self) -> int:
        """Steps since the last fresh start."""
        return self.state.step - self.state.started_step

    @property
    def anchored_share(self) -> float:
        """Share of its anchored steps that a training has taken; 0 if it has none.

        Only what can draw images again is ever let go.
        """
        drawing = isinstance(self.learner.method, GenerativeMethod)
        if not (drawing and self.adapting and self.config.anchor > 0):
            return 0.0
        return min(1.0, self.steps_since_start / self.config.anchored_steps)

    def validation_due(self) -> bool:
        """Whether the fixed crops are to be looked at now."""
        return self.state.step % self.config.validation_every == 0

    # What the loop does -----------------------------------------------------

    def step(self) -> Iterator[Event]:
        """Take one optimizer step."""
        began, state = time.perf_counter(), self.state
        freed = self.anchored_share == 1
        share = state.since_start(self.progress)
        rate = self.config.learning_rate * cosine_rate(
            share, self.steps_since_start, self.config.warmup_steps
        )
        if freed and state.redrawn is None and not state.best_collapsed:
            redrawn.draw_reference(self)
        batch = self.patches.batch(self.config.batch_size, self.crops)
        losses, stepped = yield from self.learner.update(
            batch, max(share, self.anchored_share), rate, freed=freed
        )
        if stepped:
            state.skipped_in_row = 0
        else:
            yield from rescue.skip(self)
        state.step += 1
        self._spend(began)
        rest = state.seconds * (1 - self.progress) / max(self.progress, 1e-9)
        yield StepDone(state.step, self.progress, losses, rate, state.seconds, rest)

    def _spend(self, began: float) -> None:
        """Count the time since `began`, as the first process of a team has it."""
        seconds = self.state.seconds + time.perf_counter() - began
        self.state.seconds = self.team.agree([seconds], self.device)[0]

    def preview(self) -> Preview:
        """Return a validation crop as the present weights have it."""
        crop = self.validation_crops[:1]
        return Preview(self.state.step, *self.learner.preview(crop))

    def validate(self, *, final: bool = False) -> Iterator[Event]:
        """Judge the averaged weights; keep them if they are to be.

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
            better = self._judge(losses, collapsed)
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
            yield rescue.start_again(self, losses, possible=not final)

    def _judge(self, losses: dict[str, float], collapsed: bool) -> bool:
        """Take in a validation; return whether the weights, in place, are to be kept.

        They are if they are the best by the method's criterion or, once the anchor is
        let go, still see through the noise of images drawn again.
        """
        state, finite = self.state, math.isfinite(losses["loss"])
        criterion = self.learner.method.criterion(losses) if finite else math.nan
        kept = state.is_best(criterion, collapsed)
        if state.redrawn is not None and finite and not collapsed:
            losses["redrawn"], trusted = redrawn.look(self)
            if trusted:
                kept, state.stale = True, 0
        return kept

    def finish(self, reason: Reason) -> Iterator[Event]:
        """Validate once more and hand over the model, which is not yet written.

        Stopped before the first step there is no model: random weights are no
        result.
        """
        state = self.state
        if reason == "stopped" and state.step == 0:
            return
        if reason == "stopped":  # before a validation that the schedule knows not of
            yield from keeping.save_or_warn(self)
        steps = state.history["step"]
        if not steps or steps[-1] != state.step:
            yield from self.validate(final=True)
        if state.skipped:
            yield Warned(
                f"{state.skipped} of {state.step} updates were left out, for "
                "their gradients were not finite or exploded"
            )
        if state.redrawn is not None and state.stale > 1:
            yield Warned(
                f"in the last {state.stale} looks the network was no better and took "
                "noise for signal: the weights of before are the result"
            )
        free_memory(self.device)
        yield Finished(reason, state.step, self.best_model())

    def best_model(self) -> TrainedModel:
        """Return the best weights so far as a model on the CPU."""
        with own_random_state(0):
            method = self.build()
        method.load_state_dict(self.state.best_weights)
        return TrainedModel(
            name=self.name,
            method=method.eval(),
            training=self.config,
            trained_on=self.trained_on,
            history={k: list(v) for k, v in self.state.history.items()},
        )

    def new_learner(self, seed: int) -> Learner:
        """Return networks as they begin, with what trains them."""
        return Learner.seeded(
            self.build, self.config, self.device, seed, adapting=self.adapting
        )
