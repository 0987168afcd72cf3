"""The buttons that start, hold and end a training, and open the next dock."""

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cosdd.gui._session import Session, open_dock
from napari_cosdd.gui._widgets import button, enable, row, shortened


class TrainingButtons(QWidget):
    """Train, Pause, Stop & keep, and Denoise.

    Parameters
    ----------
    viewer : Viewer
        Where the Denoise dock is opened.
    session : Session
        Knows the training.
    start : callable
        Starts a training.
    """

    def __init__(
        self, viewer: Any, session: Session, start: Callable[[], None]
    ) -> None:
        super().__init__()
        self.viewer, self.session = viewer, session
        self.train = button("Train", "Train a model with these settings", start)
        self.pause = button(
            "Pause", "Pause the training; Continue resumes it", self._pause
        )
        self.stop = button(
            "Stop && keep", "End the training now and keep its best model", self._stop
        )
        self.next = button(
            "Denoise →", "Open the Denoise dock with this model", self._next
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(row(self.train, self.pause, self.stop, stretch=0))
        column.addWidget(self.next)

    def show_state(self, why_none: str, lacking: str) -> None:
        """Enable what can be done now.

        Parameters
        ----------
        why_none : str
            Why there are no images to train on; empty if there are.
        lacking : str
            What the method lacks; empty if nothing.
        """
        running = self.session.training
        active = running is not None and running.job.active
        why = "A training is running" if active else why_none or lacking
        enable(self.train, not why, why)
        enable(self.pause, active, "Nothing is being trained")
        enable(self.stop, active, "Nothing is being trained")
        if running is None:
            enable(self.next, False, "Train a model first")
            return
        job, record = running
        name = f"{shortened(record.image)} " if record.source else ""
        self.next.setText(f"Denoise {name}→")
        self.pause.setText("Continue" if job.state == "paused" else "Pause")
        there = any(model.name == record.model for model in self.session.models)
        why = "Wait until training is done" if active else "The training gave no model"
        if record.result is not None:
            why = "The model was deleted"
        enable(self.next, there and record.result is not None, why)

    def _pause(self) -> None:
        if self.session.training is not None:
            job = self.session.training.job
            (job.resume if job.state == "paused" else job.pause)()

    def _stop(self) -> None:
        if self.session.training is not None:
            self.session.training.job.stop()

    def _next(self) -> None:
        open_dock(self.viewer, "Denoise")
        if self.session.training is not None:
            record = self.session.training.about
            self.session.denoise_layer.emit(record.source, record.model)
