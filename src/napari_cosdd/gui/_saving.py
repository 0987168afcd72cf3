"""Saving the results of a denoising into a folder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_cosdd.api import Prediction
from napari_cosdd.events import Event, Written
from napari_cosdd.gui._jobs import Job
from napari_cosdd.gui._models import plain_name
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._widgets import Problem, Sentence, button, enable
from napari_cosdd.prediction.result_files import FORMATS, result_paths, write_prediction


class SaveAll(QWidget):
    """Writes mean, deviation and samples with axes, pixel size and provenance."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._saving: tuple[Job, Path] | None = None
        self.button = button("Save all…", "Write all results to a folder", self._save)
        self.status, self.problem = Sentence(), Problem()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.button, self.status, self.problem):
            column.addWidget(widget)
        self.status.hide()

    def refresh(self) -> None:
        """Enable the button if there is a finished denoising."""
        done = self.session.denoising
        whole = done is not None and done.about.complete and not done.job.active
        if self._saving is not None and self._saving[0].active:
            enable(self.button, False, "The results are being saved")
        else:
            enable(self.button, whole, "Denoise an image first")

    def _save(self) -> None:
        done = self.session.denoising
        if done is None or done.about.prediction is None:
            return
        folder = QFileDialog.getExistingDirectory(self, "Folder for the results")
        if folder:
            self.save_to(Path(folder), done.about.prediction, done.about.provenance)

    def save_to(
        self, folder: Path, prediction: Prediction, made_by: dict[str, Any]
    ) -> None:
        """Write all results into a folder, in the background; nothing is replaced."""

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            name, outputs = (
                plain_name(prediction.source.name),
                tuple(prediction.outputs),
            )
            paths = result_paths(folder, name, outputs, FORMATS[0], overwrite=False)
            write_prediction(paths, prediction, made_by)
            yield Written(tuple(paths.values()))

        self.status.hide()
        self.problem.show_error(None)
        job = Job("saving results", work)
        self._saving = job, folder
        job.changed.connect(self._saved)
        job.start()
        self.refresh()

    def _saved(self) -> None:
        if self._saving is None:
            return
        job, folder = self._saving
        self.refresh()
        if job.error is not None:
            self.problem.show_error(job.error)
        elif not job.active:
            self.status.setText(f"Results written to {folder}.")
            self.status.show()
