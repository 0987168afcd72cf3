"""Progress, curves and preview of a training, drawn from its record alone."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QProgressBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_cosdd._formatting import clock
from napari_cosdd.events import Curve, Preview
from napari_cosdd.gui._curves_plot import CurvesPlot
from napari_cosdd.gui._plots import HEIGHT
from napari_cosdd.gui._preview import PreviewPicture
from napari_cosdd.gui._records import TrainingRecord
from napari_cosdd.gui._widgets import Heading, Problem, Sentence, button, named, row
from napari_cosdd.settings.training import UNLIMITED

#: The curve that every training has.
RATE = Curve("rate", "learning rate", "Rate", "learning rate")
#: Shortest time between two redraws of the curves of a running training, seconds.
EVERY = 1.0
REASONS = {
    "completed": "Training is complete",
    "stopped": "Training was stopped and kept",
    "time limit": "The time limit was reached",
    "plateau": "Training ended: it no longer improved",
    "collapsed": "The posterior collapsed; the best model before that is the result",
}
EXPLAINED = (
    "Lines: training crops. Dots: validation crops. Star: the model that is kept. "
    "KL, if the method has one: information in the latents of each level. If all are "
    "near zero, the latents carry no signal."
)


class TrainingView(QWidget):
    """Progress, curves and preview of one training."""

    def __init__(self, theme: str) -> None:
        super().__init__()
        self._record: TrainingRecord | None = None
        self._seen: Preview | None = None
        self._drawn = 0.0
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setFormat("")
        self.trend, self.status = Heading(""), Sentence()
        self.trend.setWordWrap(True)
        self.theme = theme
        self.log = QCheckBox("log")
        self.plots: dict[str, CurvesPlot] = {}
        self.tabs = QTabWidget()
        self._show_tabs((RATE,))
        self.tabs.setFixedHeight(HEIGHT + 34)
        self.tabs.setToolTip(EXPLAINED)
        self.log.setToolTip("Logarithmic axis; values of zero or below are left out")
        self.csv = button("CSV…", "Save all curves as a table", self._save_csv)
        self.png = button("PNG…", "Save this plot as a picture", self._save_png)
        self.picture, self.panels = PreviewPicture(), Sentence()
        self.problem = Problem()
        self.log.toggled.connect(self._set_log)
        self.tabs.currentChanged.connect(lambda _index: self._draw())
        self._build()
        self.setVisible(False)

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (
            self.bar,
            self.trend,
            self.panels,
            self.picture,
            self.tabs,
            row(self.log, self.csv, self.png),
            self.problem,
            self.status,
        ):
            column.addWidget(widget)

    def _show_tabs(self, curves: Sequence[Curve]) -> None:
        """Show a plot for each tab that the method's curves name."""
        self.tabs.blockSignals(True)
        for plot in self.plots.values():
            plot.deleteLater()
        self.tabs.clear()
        tabs: dict[str, list[Curve]] = {}
        for curve in curves:
            tabs.setdefault(curve.tab, []).append(curve)
        self.plots = {
            tab: CurvesPlot(
                {c.key: c.title for c in of_tab}, of_tab[0].unit, self.theme
            )
            for tab, of_tab in tabs.items()
        }
        for tab, plot in self.plots.items():
            self.tabs.addTab(plot, tab)
            plot.set_log(self.log.isChecked())
        self._curves = tuple(curves)
        self.tabs.blockSignals(False)

    def set_theme(self, theme: str) -> None:
        """Take napari's colours."""
        self.theme = theme
        for plot in self.plots.values():
            plot.set_theme(theme)

    def show_record(
        self,
        record: TrainingRecord,
        state: str,
        limits: Sequence[float] | None = None,
    ) -> None:
        """Show the record of a training; `limits` are the contrast of its image."""
        if record is not self._record:
            for plot in self.plots.values():
                plot.forget()
            self._record, self._seen, self._drawn = record, None, 0.0
        curves = (*record.started.curves, RATE) if record.started else self._curves
        if curves != self._curves:
            self._show_tabs(curves)
        # Of a training that ends before it starts only its error is shown.
        self.setVisible(
            state in ("running", "paused", "stopping") or record.last is not None
        )
        self.tabs.setVisible(record.last is not None)
        self.bar.setValue(round(1000 * record.progress))
        self.bar.setFormat(_progress_text(record, state))
        self.trend.setText(_trend(record, state))
        self.status.setText(_status(record, state))
        self.status.setToolTip(str(record.path or ""))
        if record.preview is not None and record.preview is not self._seen:
            self._seen = record.preview
            self.picture.show_preview(record.preview, limits)
            best = next(iter(record.preview.images), "")
            self.panels.setText(f"A part that is held out: noisy | {best}")
        if state != "running" or time.monotonic() - self._drawn > EVERY:
            self._draw()

    def _draw(self) -> None:
        """Draw the plot of the open tab; each other one is drawn when its tab opens."""
        self._drawn = time.monotonic()
        record = self._record
        if record is not None and self.isVisible():
            plot = self.plots[self.tabs.tabText(self.tabs.currentIndex())]
            plot.show_curves(record.training, record.validation, record.best_step)

    def _set_log(self, on: bool) -> None:
        for plot in self.plots.values():
            plot.set_log(on)
        self._draw()

    def _save_csv(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save curves", "", "CSV (*.csv)")
        if path and self._record is not None:
            self._written(self._record.write_csv, named(Path(path), ".csv"))

    def _save_png(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save plot", "", "PNG (*.png)")
        if path:
            plot = self.plots[self.tabs.tabText(self.tabs.currentIndex())]
            self._written(plot.write_png, named(Path(path), ".png"))

    def _written(self, write: Callable[[Path], object], path: Path) -> None:
        """Write a file; show the error if that fails."""
        self.problem.show_error(None)
        try:
            write(path)
        except OSError as error:
            self.problem.show_error(error)


def _progress_text(record: TrainingRecord, state: str) -> str:
    last = record.last
    if last is None:
        return "preparing …" if state == "running" else ""
    if state == "paused":
        return f"paused at step {last.step}"
    if state == "stopping":
        return "stopping and keeping …"
    if state == "running":
        left = clock(record.remaining or 0.0)
        return f"step {last.step}{_of(record)} · {left} left"
    return f"{last.step} steps in {clock(last.seconds)}"


def _of(record: TrainingRecord) -> str:
    """Return " of" and the number of steps; "" if only a time limit ends them."""
    started = record.started
    known = started is not None and started.max_steps < UNLIMITED
    return f" of {started.max_steps}" if started is not None and known else ""


def _trend(record: TrainingRecord, state: str) -> str:
    """Return how far it is and how it goes, in plain words."""
    if record.reason:
        words = f"{REASONS[record.reason]}."
        if record.cut_short and record.last is not None:
            words += (
                f" {record.last.step}{_of(record)} steps were taken. To train on, "
                "choose this model under Start."
            )
        return words
    if state == "failed":
        return ""
    words = record.trend if state in ("running", "paused") else ""
    return f"Training on {record.image}. {words}".strip()


def _status(record: TrainingRecord, state: str) -> str:
    parts = []
    if record.started is not None and state in ("running", "paused", "stopping"):
        parts.append(f"{record.started.description}, on {record.started.device}.")
    if record.reason and record.path is not None:
        parts.append(f"Kept as {record.path.stem}.")
    parts += [f"⚠ {w}" for w in record.warnings[-3:]]
    return "\n".join(parts)
