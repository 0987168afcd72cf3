"""What can be done with a model of the Denoise dock: find, rename, delete, export."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QToolButton,
)

from napari_cosdd import api
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.events import Event, Written
from napari_cosdd.gui._jobs import Job
from napari_cosdd.gui._models import ModelEntry, plain_name
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._widgets import Problem, Sentence, named
from napari_cosdd.images.image import Image

#: Side of a tile of an export, pixels.
TILE = 256
#: Step in which a tile gets smaller, pixels.
STEP = 16


class ModelMenu(QToolButton):
    """A button with a menu of what can be done with the chosen model.

    Parameters
    ----------
    session : Session
        Holds the list of models.
    chosen : callable
        Returns the chosen model, or None.
    image : callable
        Returns the chosen image, which an export takes as its example.
    problem, status : Problem, Sentence
        Show what went wrong, and what was done.
    """

    def __init__(
        self,
        session: Session,
        chosen: Callable[[], ModelEntry | None],
        image: Callable[[], Image],
        problem: Problem,
        status: Sentence,
    ) -> None:
        super().__init__()
        self.session, self._chosen, self._image = session, chosen, image
        self.problem, self.status = problem, status
        self._job: Job | None = None
        self.setText("⋯")
        self.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.setToolTip("Find, rename, delete or export this model")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        for text, slot in (
            ("Show its folder", self.show_folder),
            ("Rename…", self.rename),
            ("Delete…", self.delete),
            ("Export for Fiji, QuPath (bioimage.io)…", self.export),
        ):
            menu.addAction(text, slot)
        self.setMenu(menu)

    def _entry(self) -> ModelEntry:
        self.problem.show_error(None)
        entry = self._chosen()
        if entry is None:
            raise BadInputError("Choose a model first.")
        return entry

    def _with_entry(self, do: Callable[[ModelEntry], Any]) -> None:
        """Do something with the chosen model; show the error if that fails."""
        try:
            do(self._entry())
        except (CosddError, OSError) as error:
            self.problem.show_error(error)

    def show_folder(self) -> None:
        """Open the folder of the model in the desktop's file manager."""

        def show(entry: ModelEntry) -> None:
            if entry.path is None:
                raise BadInputError("This model was not saved.")
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(entry.path.parent)))

        self._with_entry(show)

    def rename(self) -> None:
        """Ask for another name of the model and of its file."""

        def ask(entry: ModelEntry) -> None:
            name, given = QInputDialog.getText(
                self, "Rename the model", "Name", QLineEdit.EchoMode.Normal, entry.name
            )
            if given and name.strip() and name.strip() != entry.name:
                self.session.rename_model(entry, plain_name(name.strip()))

        self._with_entry(ask)

    def delete(self) -> None:
        """Delete the model and its file, once the user has confirmed."""

        def ask(entry: ModelEntry) -> None:
            answer = QMessageBox.question(
                self,
                "Delete the model",
                f"Delete {entry.name}{' and its file' if entry.path else ''}? This "
                "cannot be undone.",
            )
            if answer == QMessageBox.StandardButton.Yes:
                self.session.delete_model(entry)

        self._with_entry(ask)

    def export(self) -> None:
        """Write the model as a bioimage.io package, in the background."""

        def ask(entry: ModelEntry) -> None:
            image = self._image()
            first = f"{entry.name}.bioimageio.zip"
            path, _ = QFileDialog.getSaveFileName(
                self, "Export the model", first, "bioimage.io (*.zip)"
            )
            if path:
                self.export_to(named(Path(path), ".zip"), entry, image)

        self._with_entry(ask)

    def export_to(self, path: Path, entry: ModelEntry, image: Image) -> None:
        """Write the package; the image is its example."""
        at = [image.axes.find(letter) for letter in "YX"]
        sides = [image.data.shape[i] for i in at if i >= 0]
        tile = min(TILE, *sides) // STEP * STEP
        name = f"COSDD {entry.name}"

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            model = entry.load()
            api.export_bioimageio(model, image, path, name=name, tile_size=tile)
            yield Written((path,))

        self.status.setText(f"Exporting {entry.name} …")
        self._job = Job(f"exporting {entry.name}", work)
        self._job.changed.connect(self._exported)
        self._job.start()

    def _exported(self) -> None:
        job = self._job
        if job is None or job.active:
            return
        self.status.setText("" if job.error else "The model was exported.")
        if job.error is not None:
            self.problem.show_error(job.error)
