"""Records of a job's events so far, in plain values; docks are drawn from them.

A record outlives its dock: a dock that is closed and opened again shows the same.
"""

import csv
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cosdd.api import Prediction
from napari_cosdd.events import (
    Allocated,
    Denoised,
    Event,
    Finished,
    Preview,
    SampleDone,
    Saved,
    Started,
    StepDone,
    TileDone,
    Validated,
    Warned,
    Written,
)
from napari_cosdd.gui._wording import in_dock_words
from napari_cosdd.images.files import atomic

#: Points of a curve above which every second one is dropped.
POINTS = 4000
#: Steps from which a training counts as long enough. From the pretrained network the
#: results differ little after as many.
ENOUGH = 1000
#: Number of validations from which a trend is told.
TOLD_FROM = 4
#: Share of the last validations in which the best one means progress.
LATELY = 0.25
#: Share of the range of the validation curve above its best value from which the
#: network learns the training crops by heart.
RISEN = 0.1
#: Share of a training until which the time that was estimated before it counts.
SETTLED = 0.2


class Curves:
    """Columns of numbers over steps; long ones lose every second row."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.columns: dict[str, list[float]] = {}
        self._every = 1
        self._seen = 0

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add one row; NaN stands for a value that is missing in a row."""
        self._seen += 1
        if self._seen % self._every:
            return
        for name in values.keys() | self.columns.keys():
            column = self.columns.setdefault(name, [math.nan] * len(self.steps))
            column.append(values.get(name, math.nan))
        self.steps.append(step)
        if len(self.steps) > POINTS:
            self._every *= 2
            self.steps = self.steps[1::2]
            self.columns = {k: v[1::2] for k, v in self.columns.items()}

    def get(self, name: str) -> tuple[list[int], list[float]]:
        """Return steps and values of a column; empty if there is none."""
        if name not in self.columns:
            return [], []
        return self.steps, self.columns[name]


@dataclass
class TrainingRecord:
    """What is known of a training so far."""

    image: str
    source: str = ""  # key of the layer, empty for a folder
    training: Curves = field(default_factory=Curves)
    validation: Curves = field(default_factory=Curves)
    best_step: int | None = None
    started: Started | None = None
    last: StepDone | None = None
    preview: Preview | None = None
    warnings: list[str] = field(default_factory=list)
    path: Path | None = None
    result: Any = None
    model: str = ""  # name of the result in the docks
    reason: str = ""
    expected: float | None = None  # seconds, as estimated before

    def take(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, StepDone):
            self.last = event
            self.training.add(
                event.step, dict(event.losses) | {"rate": event.learning_rate}
            )
        elif isinstance(event, Validated):
            self.validation.add(event.step, dict(event.losses))
            if event.best:
                self.best_step = event.step
        elif isinstance(event, Preview):
            self.preview = event
        elif isinstance(event, Started):
            self.started = event
        elif isinstance(event, Warned):
            self.warnings.append(in_dock_words(event.message))
        elif isinstance(event, Saved):
            self.path = event.path
        elif isinstance(event, Finished):
            self.result, self.reason = event.result, event.reason

    @property
    def progress(self) -> float:
        """Share done, 0 to 1."""
        return self.last.progress if self.last is not None else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds left: as estimated at first, then more and more as measured."""
        last = self.last
        if last is None or self.expected is None or last.progress >= SETTLED:
            return None if last is None else last.remaining
        trust = last.progress / SETTLED
        before = max(0.0, self.expected - last.seconds)
        return trust * last.remaining + (1 - trust) * before

    @property
    def cut_short(self) -> bool:
        """Whether a time limit or the user ended it before `ENOUGH` steps."""
        early = self.reason in ("time limit", "stopped")
        return early and self.last is not None and self.last.step < ENOUGH

    @property
    def trend(self) -> str:
        """How the validation goes, in words; "" before enough of it is known."""
        steps, values = self.validation.get("loss")
        if len(steps) < TOLD_FROM or self.best_step not in steps:
            return "Too early to tell how it goes."
        at_best = steps.index(self.best_step)
        if at_best >= (1 - LATELY) * (len(steps) - 1):
            return "Still improving."
        best = values[at_best]
        fallen = max(values[: at_best + 1]) - best
        if min(values[-int(LATELY * len(values)) :]) - best > RISEN * fallen > 0:
            return "Overfitting: you may stop, the best model is kept."
        return "Good enough: you may stop, it hardly improves."

    def write_csv(self, path: Path) -> None:
        """Write all curves as a table, validation columns marked as such."""
        parts = [("", self.training), ("validation_", self.validation)]
        rows: dict[int, dict[str, float]] = {}
        names: list[str] = []
        for prefix, curves in parts:
            for name, column in sorted(curves.columns.items()):
                names.append(prefix + name)
                for step, value in zip(curves.steps, column, strict=True):
                    rows.setdefault(step, {})[prefix + name] = value
        with (
            atomic(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, ["step", *names])
            writer.writeheader()
            writer.writerows({"step": s, **rows[s]} for s in sorted(rows))


@dataclass
class DenoisingRecord:
    """What is known of a denoising so far."""

    image: str
    provenance: dict[str, Any] = field(default_factory=dict)
    source: str = ""  # key of the layer, empty for a folder
    prediction: Prediction | None = None
    done: int = 0
    total: int = 1
    samples: int = 0
    samples_total: int = 1
    remaining: float | None = None
    complete: bool = False
    warnings: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    folder: Path | None = None  # of the results of many images
    written: int = 0  # images written to it

    def take(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, (Allocated, Denoised)):
            self.prediction = event.result
            self.complete = isinstance(event, Denoised)
        elif isinstance(event, SampleDone):
            self.samples, self.samples_total = event.n_samples, event.total
            if self.done == 0:  # later tiles tell more surely
                passed = time.monotonic() - self.began
                self.remaining = passed * (1 / max(self.progress, 1e-6) - 1)
        elif isinstance(event, Written):
            self.written += 1
        elif isinstance(event, TileDone):
            self.done, self.total = event.done, event.total
            self.samples, self.remaining = 0, event.remaining
        elif isinstance(event, Warned):
            self.warnings.append(in_dock_words(event.message))

    @property
    def progress(self) -> float:
        """Share done, 0 to 1."""
        return min(1.0, (self.done + self.samples / self.samples_total) / self.total)


def smoothed(values: list[float], share: float = 0.02) -> list[float]:
    """Return an exponential average over about `share` of the points, unbiased."""
    decay = 1 - 1 / max(1.0, share * len(values))
    total = weight = 0.0
    result = []
    for value in values:
        if math.isfinite(value):
            total = decay * total + (1 - decay) * value
            weight = decay * weight + (1 - decay)
        result.append(total / weight if weight else math.nan)
    return result
