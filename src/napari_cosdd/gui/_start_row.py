"""What a training starts from: nothing, a model, or an interrupted training."""

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.gui._models import ModelEntry, unfinished_trainings
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._widgets import Sentence, choice, field, fill
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import Needs
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.training.recipe import resumed

FRESH, GO_ON = "a new model", "go on: {}"
AS_MODEL = "Method, networks and noise axis are those of {}."
RESUMED = (
    "Goes on where it was interrupted, with its own settings. Choose the same image, "
    "region, Fill and Validate."
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
        session.model_renamed.connect(self._renamed)
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

    def model(self) -> TrainedModel | Path | None:
        """Return the model to start from, or its file; None for another start.

        Raises
        ------
        BadInputError
            If what was chosen is gone.
        """
        if self.is_fresh or self.interrupted is not None:
            return None
        entry = self._entry()
        if entry is None:
            raise BadInputError(f"{self.choice.currentText()} is gone: choose again.")
        return entry.path if entry.model is None else entry.model

    def needs(self) -> Needs:
        """Return the targets that the training needs, if it does not start anew.

        A model brings its noise model and point spread along.
        """
        try:
            if (path := self.interrupted) is not None:
                method: Any = get_method(resumed(path)[0].method)
            else:
                entry = self._entry()
                method = None if entry is None else entry.load().method
        except CosddError:
            method = None  # the Train button says why
        return Needs() if method is None else Needs(target=method.needs.target)

    def _entry(self) -> ModelEntry | None:
        entries = {m.name: m for m in self.session.models}
        return entries.get(self.choice.currentText())

    def refresh(self) -> None:
        """List the models and the interrupted trainings, but for the running one."""
        before = self.choice.currentText()
        left = [GO_ON.format(p.stem) for p in unfinished_trainings()]
        fill(self.choice, [FRESH, *left, *(m.name for m in self.session.models)])
        if self.choice.currentText() != before:  # it is gone
            self._changed()

    def showEvent(self, event: Any) -> None:
        """List what there is now; other programs train, too."""
        super().showEvent(event)
        self.refresh()

    def _renamed(self, before: str, name: str) -> None:
        at = self.choice.findText(before)
        if at >= 0:
            self.choice.setItemText(at, name)

    def _changed(self) -> None:
        text = AS_MODEL.format(self.choice.currentText())
        self.sentence.setText(text if self.interrupted is None else RESUMED)
        self.sentence.setVisible(not self.is_fresh)
        self.changed.emit()
