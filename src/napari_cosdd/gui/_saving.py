"""Saving the results of a denoising into a folder."""

from collections.abc import Callable, Iterator
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtWidgets import QCheckBox, QFileDialog, QInputDialog, QVBoxLayout, QWidget

from napari_cosdd.api import Prediction
from napari_cosdd.events import Event, Written
from napari_cosdd.gui._jobs import Job
from napari_cosdd.gui._models import plain_name
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._widgets import (
    Problem,
    Sentence,
    button,
    enable,
    row,
    shortened,
)
from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.prediction.result_files import FORMATS, result_paths, write_prediction


class SaveAll(QWidget):
    """Writes mean, deviation and samples with axes, pixel size and provenance."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._saving: tuple[Job, Path] | None = None
        self._written: list[Path] = []
        self._saved_of: Any = None  # the denoising whose results were saved
        self.button = button("Save…", "Write the results to a folder", self._save)
        self.mean_only = QCheckBox("mean only")
        self.same_type = QCheckBox("in the type of the image")
        self.same_type.setToolTip("Rounded to whole grey levels if these are whole")
        self.status, self.problem = Sentence(), Problem()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        options = row(self.mean_only, self.same_type)
        for widget in (self.button, options, self.status, self.problem):
            column.addWidget(widget)
        self.status.hide()

    def refresh(self) -> None:
        """Enable the button if there is a finished denoising, and name its image."""
        done, running = self.session.denoised, self.session.denoising
        busy = running is not None and running.job.active
        self.button.setText(
            "Save…" if done is None else f"Save {shortened(done.image)}…"
        )
        if done is not self._saved_of:
            self.status.hide()
            self.problem.show_error(None)
        if self._saving is not None and self._saving[0].active:
            enable(self.button, False, "The results are being saved")
        else:
            why = "A denoising is running" if busy else "Denoise an image first"
            enable(self.button, done is not None and not busy, why)

    def _save(self) -> None:
        done = self.session.denoised
        if done is None or done.prediction is None:
            return
        folder = QFileDialog.getExistingDirectory(self, "Folder for the results")
        if not folder:
            return
        name = self._free_name(Path(folder), done.prediction)
        if name:
            self.save_to(Path(folder), done.prediction, done.provenance, name)

    def _free_name(self, folder: Path, prediction: Prediction) -> str:
        """Return a name for the files; where it is taken, one that the user gives."""
        name = plain_name(prediction.source.name)
        while name and any(folder.glob(f"{escape(name)}-{MEAN.name}.*")):
            name, given = QInputDialog.getText(
                self,
                "Results of this name exist",
                f"{folder.name} holds results called {name}. Save these as:",
                text=next_name(folder, name),
            )
            name = plain_name(name) if given else ""
        return name

    def save_to(
        self,
        folder: Path,
        prediction: Prediction,
        made_by: dict[str, Any],
        name: str = "",
    ) -> None:
        """Write all results into a folder, in the background; nothing is replaced."""
        name = name or plain_name(prediction.source.name)
        outputs = (MEAN,) if self.mean_only.isChecked() else tuple(prediction.outputs)
        same = self.same_type.isChecked()
        dtype = np.dtype(prediction.source.data.dtype) if same else None
        self._saved_of = self.session.denoised

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            paths = result_paths(folder, name, outputs, FORMATS[0], overwrite=False)
            write_prediction(paths, prediction, made_by, dtype)
            self._written = list(paths.values())
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
            first, *others = self._written
            more = f" and {len(others)} more" if others else ""
            self.status.setText(f"Written: {first.name}{more}, in {folder}.")
            self.status.show()


def next_name(folder: Path, name: str) -> str:
    """Return a name for results that the folder does not hold yet."""
    n = 2
    while any(folder.glob(f"{escape(name)}-{n}-{MEAN.name}.*")):
        n += 1
    return f"{name}-{n}"
