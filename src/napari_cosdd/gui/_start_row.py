"""What a training starts from: nothing, a model, or an interrupted training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cosdd.gui._models import unfinished_trainings
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._widgets import Sentence, choice, field, fill

FRESH, GO_ON = "anew", "go on: {}"
AS_MODEL = "Method, networks and noise axis are those of {}."
RESUMED = (
    "Goes on where it was interrupted, with its own settings. Choose the same image, "
    "region and Fill."
)


class StartRow(QWidget):
    """A row with the start, and a sentence on what it determines.

    Signals: `changed` when something else is chosen.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.choice = choice(FRESH)
        self.sentence = Sentence()
        self.sentence.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        tip = "A new model, a trained one to start from, or an interrupted training"
        column.addWidget(field("Start", self.choice, tip=tip))
        column.addWidget(self.sentence)
        self.choice.currentTextChanged.connect(lambda _text: self._changed())
        # A bound method, since Qt disconnects only these when the widget is deleted.
        session.models_changed.connect(self.refresh)
        self.refresh()

    @property
    def is_fresh(self) -> bool:
        """Whether the form determines method and networks."""
        return self.choice.currentText() == FRESH

    @property
    def interrupted(self) -> Path | None:
        """The model file of the interrupted training that goes on, if any."""
        found = {GO_ON.format(p.stem): p for p in unfinished_trainings()}
        return found.get(self.choice.currentText())

    def model(self) -> Callable[[], Any]:
        """Return a function that returns the model to start from, or None."""
        entries = {m.name: m for m in self.session.models}
        entry = entries.get(self.choice.currentText())
        if entry is None:
            return lambda: None
        return entry.load

    def refresh(self) -> None:
        """List the models and the interrupted trainings, but for the running one."""
        going = self.session.training
        running = going.about.path if going is not None and going.job.active else None
        left = [GO_ON.format(p.stem) for p in unfinished_trainings() if p != running]
        fill(self.choice, [FRESH, *left, *(m.name for m in self.session.models)])

    def _changed(self) -> None:
        text = AS_MODEL.format(self.choice.currentText())
        self.sentence.setText(text if self.interrupted is None else RESUMED)
        self.sentence.setVisible(not self.is_fresh)
        self.changed.emit()
