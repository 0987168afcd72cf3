"""The choice of a trained model: a list, a file, and a menu of what can be done."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_cosdd.errors import CosddError
from napari_cosdd.gui._model_menu import ModelMenu
from napari_cosdd.gui._models import ModelEntry, is_cut_short, is_of_image
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._suffixes import SUFFIX
from napari_cosdd.gui._widgets import Problem, Sentence, button, choice, field, fill
from napari_cosdd.images.image import Image


class ModelRow(QWidget):
    """A row with the models of the session; one that was chosen stays chosen.

    Signals: `changed` when another model is chosen, `listed` when the list is another.

    Parameters
    ----------
    session : Session
        Holds the list of models.
    image : callable
        Returns the chosen image, for an export.
    problem, status : Problem, Sentence
        Show what went wrong, and what was done.
    """

    changed = Signal()
    listed = Signal()

    def __init__(
        self,
        session: Session,
        image: Callable[[], Image],
        problem: Problem,
        status: Sentence,
    ) -> None:
        super().__init__()
        self.session, self.problem = session, problem
        #: Whether the user or another dock chose the model.
        self.is_chosen = False
        self.choice = choice()
        self.open = button("Open…", "Open a model file", self._open)
        self.menu = ModelMenu(session, self.entry, image, problem, status)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        parts = (self.choice, self.open, self.menu)
        column.addWidget(field("Model", *parts, tip="A trained model"))
        self.choice.currentTextChanged.connect(lambda _text: self.changed.emit())
        self.choice.activated.connect(lambda _index: setattr(self, "is_chosen", True))
        # Bound methods, since Qt disconnects only these when the widget is deleted.
        session.models_changed.connect(self.refresh)
        session.model_renamed.connect(self._renamed)
        self.refresh()

    def entry(self) -> ModelEntry | None:
        """Return the chosen model."""
        entries = {m.name: m for m in self.session.models}
        return entries.get(self.choice.currentText())  # names differ, see add_model

    def take(self, name: str) -> None:
        """Choose a model by its name."""
        self.choice.setCurrentText(name)
        self.is_chosen = True

    def offer(self, image: str) -> None:
        """Show the model that was trained on an image, unless one was chosen.

        The newest one, but rather one that was not stopped after a few steps.
        """
        ours = [m for m in self.session.models if is_of_image(m, image)]
        if ours and not self.is_chosen:
            self.choice.setCurrentText(min(ours, key=is_cut_short).name)

    def open_file(self, path: Path) -> None:
        """Add a model file to the list and choose it; show the error if that fails."""
        entry = ModelEntry(path.stem, path)
        try:
            entry.load()
        except CosddError as error:
            self.problem.show_error(error)
            return
        self.problem.show_error(None)
        self.session.add_model(entry)
        self.take(entry.name)

    def refresh(self) -> None:
        """List the models; one that is gone is chosen no longer."""
        if self.entry() is None:
            self.is_chosen = False
        fill(self.choice, [m.name for m in self.session.models])
        self.listed.emit()

    def _open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a model", "", f"COSDD models (*{SUFFIX} *.zip)"
        )
        if path:
            self.open_file(Path(path))

    def _renamed(self, before: str, name: str) -> None:
        at = self.choice.findText(before)
        if at >= 0:
            self.choice.setItemText(at, name)
