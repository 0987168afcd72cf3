"""Where a training stands."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

#: Columns of equal length over the validations: "step", "seconds" and the losses; None
#: where a value was not measured or not finite.
History = dict[str, list[float | None]]


@dataclass
class BestWeights:
    """The weights to keep, as far as was seen.

    Attributes
    ----------
    weights : mapping
        On the CPU.
    criterion : float
        The least of all validations.
    has_problem : bool
        Whether the method had a problem (collapse) in all validations.
    stale : int
        Validations since weights were kept.
    """

    weights: Mapping[str, Tensor]
    criterion: float = math.inf
    has_problem: bool = True
    stale: int = 0

    @property
    def exists(self) -> bool:
        """Whether a validation has chosen weights."""
        return math.isfinite(self.criterion)

    def improves(self, criterion: float, has_problem: bool) -> bool:
        """Take in a validation; return whether its criterion is the least so far.

        Weights with a problem are worse than any without, whatever their criterion.
        """
        better = (has_problem, criterion) < (self.has_problem, self.criterion)
        better = better and math.isfinite(criterion)
        if better:
            self.criterion, self.has_problem, self.stale = criterion, has_problem, 0
        else:
            self.stale += 1
        return better


@dataclass(frozen=True)
class Reference:
    """Images drawn from the model when its networks were freed.

    Attributes
    ----------
    noisy, clean : ndarray, shape (n, c, *spatial)
        Posterior samples with and without noise from the decoder, normalized.
    removed : float
        By how many dB the freed model removed that noise.
    """

    noisy: Tensor
    clean: Tensor
    removed: float


@dataclass
class TrainingState:
    """Where a training stands; plain values and tensors, as they are saved.

    Attributes
    ----------
    best : BestWeights
        What is delivered.
    sound : dict
        State of the stepper at the last validation that was finite.
    step : int
        Optimizer steps taken.
    seconds : float
        Spent on steps and validations.
    started_at, started_step
        Share of the training and step at the last fresh start.
    reference : Reference or None
        For `LeakageWatch`, once the networks are freed.
    history : mapping
        Of all validations.
    """

    best: BestWeights
    sound: dict[str, Any]
    step: int = 0
    seconds: float = 0.0
    started_at: float = 0.0
    started_step: int = 0
    reference: Reference | None = None
    history: History = field(default_factory=lambda: {"step": [], "seconds": []})

    @property
    def steps_since_start(self) -> int:
        """Steps since the last fresh start."""
        return self.step - self.started_step

    def share_since_start(self, progress: float) -> float:
        """Return the share done of what was left at the last fresh start."""
        return (progress - self.started_at) / max(1e-9, 1 - self.started_at)

    def start_again(
        self, progress: float, weights: Mapping[str, Tensor], sound: dict[str, Any]
    ) -> None:
        """Start afresh; the best weights belong to a start that failed."""
        self.started_at, self.started_step = progress, self.step
        self.best, self.sound, self.reference = BestWeights(weights), sound, None

    def record(self, losses: Mapping[str, float]) -> None:
        """Add a row to the history."""
        row = {"step": float(self.step), "seconds": self.seconds, **losses}
        length = len(self.history["step"])
        for key in row.keys() | self.history.keys():
            column = self.history.setdefault(key, [None] * length)
            value = row.get(key, math.nan)
            column.append(value if math.isfinite(value) else None)
