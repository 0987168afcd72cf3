"""Where a training stands."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

#: From which share and step on a fresh start is judged for collapse.
JUDGED_FROM, JUDGED_STEP = 0.1, 200


@dataclass
class TrainingState:
    """Where a training stands; plain values and tensors, as they are saved.

    Attributes
    ----------
    step : int
        Optimizer steps taken.
    seconds : float
        Spent on steps and validations.
    restarts, started_at, started_step
        Fresh starts after a collapse, and the share of the training and the step at
        which the last one was.
    skipped, skipped_in_row, rollbacks : int
        Updates that were left out, in all and lately; returns to the last good state.
    best, stale, best_collapsed
        Least criterion of a validation, validations since weights were kept, and
        whether the posterior had collapsed in all of them.
    redrawn : dict or None
        Once the anchor is let go: "noisy" and "clean" images that the network drew
        again, and the dB of that noise that it "removed" then.
    given_up : bool
        The posterior collapsed too late for a fresh start.
    history : dict
        Columns of equal length: "step", "seconds", losses; None where not measured.
    best_weights : mapping
        Those to keep, as far as was seen.
    good : dict
        State of the learner at the last validation that was finite.
    wrote_model : bool
        Whether the model file was written in this training.
    """

    best_weights: Mapping[str, Tensor]
    good: dict[str, Any]
    step: int = 0
    seconds: float = 0.0
    restarts: int = 0
    started_at: float = 0.0
    started_step: int = 0
    skipped: int = 0
    skipped_in_row: int = 0
    rollbacks: int = 0
    best: float = math.inf
    stale: int = 0
    best_collapsed: bool = True
    redrawn: dict[str, Any] | None = None
    given_up: bool = False
    history: dict[str, list[float | None]] = field(
        default_factory=lambda: {"step": [], "seconds": []}
    )
    wrote_model: bool = False

    def progress(self, steps: int, minutes: float | None) -> float:
        """Return the share done, by steps or by time, whichever is further."""
        share = self.step / steps
        if minutes is not None:
            share = max(share, self.seconds / (60 * minutes))
        return min(1.0, share)

    def since_start(self, progress: float) -> float:
        """Return the share done of what was left at the last fresh start."""
        return (progress - self.started_at) / max(1e-9, 1 - self.started_at)

    def old_enough(self, progress: float) -> bool:
        """Whether the last fresh start is to be judged for collapse."""
        steps = self.step - self.started_step
        return steps >= JUDGED_STEP and self.since_start(progress) > JUDGED_FROM

    def is_best(self, criterion: float, collapsed: bool) -> bool:
        """Take in a validation's criterion; return whether it is the least so far.

        A collapsed posterior is worse than any that is not, whatever its criterion.
        """
        better = (collapsed, criterion) < (self.best_collapsed, self.best)
        better = better and math.isfinite(criterion)
        if better:
            self.best, self.best_collapsed, self.stale = criterion, collapsed, 0
        else:
            self.stale += 1
        return better

    def begin_again(
        self, progress: float, weights: Mapping[str, Tensor], good: dict[str, Any]
    ) -> None:
        """Start afresh; what was best belongs to a start that collapsed."""
        self.started_at, self.started_step = progress, self.step
        self.best, self.best_collapsed, self.stale = math.inf, True, 0
        self.redrawn = None
        self.best_weights, self.good = weights, good

    def record(self, losses: Mapping[str, float]) -> None:
        """Add a row to the history."""
        row = {"step": float(self.step), "seconds": self.seconds, **losses}
        length = len(self.history["step"])
        for key in row.keys() | self.history.keys():
            column = self.history.setdefault(key, [None] * length)
            value = row.get(key, math.nan)
            column.append(value if math.isfinite(value) else None)
