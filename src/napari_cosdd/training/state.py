"""The state of a training."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

#: One column per quantity ("step", "seconds", each loss), one row per validation; None
#: if a value was not measured or not finite.
History = dict[str, list[float | None]]


@dataclass
class BestWeights:
    """The best weights of all validations so far.

    Attributes
    ----------
    weights : mapping
        Weights on the CPU.
    criterion : float
        Lowest criterion of all validations.
    has_problem : bool
        Whether the method had a problem (collapse) in all validations.
    stale : int
        Number of validations since weights were last kept.
    """

    weights: Mapping[str, Tensor]
    criterion: float = math.inf
    has_problem: bool = True
    stale: int = 0

    @property
    def exists(self) -> bool:
        """Whether a validation has selected weights."""
        return math.isfinite(self.criterion)

    def improves(self, criterion: float, has_problem: bool) -> bool:
        """Record a validation; return whether its weights are the best so far.

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
    """Training crops that the model redrew when its networks were freed.

    Attributes
    ----------
    noisy, clean : Tensor, shape (n, c, *spatial)
        Posterior samples with and without noise from the decoder, normalized.
    removed : float
        Gain in PSNR by which the model removed that noise then, dB.
    """

    noisy: Tensor
    clean: Tensor
    removed: float


@dataclass
class TrainingState:
    """The state of a training, as plain values and tensors that can be saved.

    Attributes
    ----------
    best : BestWeights
        Best weights so far: the result.
    sound : dict
        State of the stepper at the last validation with finite loss.
    step : int
        Optimizer steps taken.
    seconds : float
        Time spent on steps and validations.
    started_at, started_step
        Share of the training, and step, at the last fresh start.
    reference : Reference or None
        Redrawn crops for `leakage`, once the networks are freed.
    history : mapping
        Losses of all validations.
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
        """Return the share done since the last fresh start, of what was left then."""
        return (progress - self.started_at) / max(1e-9, 1 - self.started_at)

    def start_again(
        self, progress: float, weights: Mapping[str, Tensor], sound: dict[str, Any]
    ) -> None:
        """Start afresh, without the best weights of the failed start."""
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
