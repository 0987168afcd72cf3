"""The Trust part of the Denoise dock: the model check, and the methods paragraph."""

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QCheckBox, QFileDialog, QVBoxLayout, QWidget

from napari_cosdd.api import ModelCheck, check
from napari_cosdd.checks.methods_paragraph import methods_paragraph
from napari_cosdd.checks.page import write_check
from napari_cosdd.errors import CosddError
from napari_cosdd.events import Event
from napari_cosdd.gui._jobs import Job, Result
from napari_cosdd.gui._layers import data_of, image_of, pixels_key
from napari_cosdd.gui._light import Light
from napari_cosdd.gui._models import ModelEntry, filling
from napari_cosdd.gui._plots import CoveragePlot
from napari_cosdd.gui._session import CheckKey, Session
from napari_cosdd.gui._widgets import (
    Folded,
    Heading,
    Problem,
    Sentence,
    button,
    enable,
    named,
    row,
)
from napari_cosdd.images.image import Image
from napari_cosdd.settings.prediction import PredictionConfig

#: Time for which it is said that the methods were copied, milliseconds.
COPIED = 6000


class Subject(NamedTuple):
    """A model, the layer to check it on, and a clean layer if there is one."""

    layer: ImageLayer
    entry: ModelEntry
    truth: ImageLayer | None = None
    part: str = ""  # which axes and channels of it

    @property
    def key(self) -> CheckKey:
        """Key under which the session stores the check.

        The model's fingerprint in it is empty until the model file is read.
        """
        layer, entry, truth, part = self
        model = entry.model.fingerprint if entry.model is not None else ""
        clean = None if truth is None else pixels_key(truth)
        return pixels_key(layer), clean, f"{model}/{part}"


class TrustView(QWidget):
    """Checks the chosen model on the chosen image, and shows the findings.

    Parameters
    ----------
    session : Session
        Runs the check and stores its result.
    theme : str
        Name of the viewer's theme.
    chosen : callable
        Returns the chosen model and layers; None if a model or an image is missing.
    image : callable
        Returns the layer as an image; raises CosddError if its axes do not fit.
    """

    def __init__(
        self,
        session: Session,
        theme: str,
        chosen: Callable[[], Subject | None],
        image: Callable[[], Image],
    ) -> None:
        super().__init__()
        self.session, self._chosen, self._image = session, chosen, image
        self.run = button(
            "Check",
            "Test without ground truth whether this model fits this image; with a "
            "Truth chosen above, also whether its uncertainty is right",
            self.check,
        )
        self.always = QCheckBox("after each denoising")
        self.always.setChecked(session.check_results)
        self.always.toggled.connect(partial(setattr, session, "check_results"))
        self.page = button(
            "Save page…",
            "Save all checks: a picture with plots (.png), or the numbers (.json)",
            self._save,
        )
        self.copy = button(
            "Copy methods",
            "Copy a methods paragraph for your paper, with the check and citations",
            self._copy,
        )
        self.light, self.verdict, self.problem = Light(), Sentence(), Problem()
        self.copied = Sentence()
        self._copied_ends = QTimer(self, singleShot=True, interval=COPIED)
        self._copied_ends.timeout.connect(self.copied.clear)
        self.against_truth, self.coverage = Sentence(), CoveragePlot(theme)
        self.details, self.list = Folded("All checks"), Sentence()
        self.details.addWidget(self.list)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for widget in (
            Heading("Trust"),
            self.light,
            self.verdict,
            row(self.run, self.always),
            row(self.page, self.copy),
            self.copied,
            self.against_truth,
            self.coverage,
            self.details,
            self.problem,
        ):
            column.addWidget(widget)
        self.refresh()

    @property
    def found(self) -> ModelCheck | None:
        """The stored check of the chosen model on the chosen image, if any."""
        chosen = self._chosen()
        if chosen is None:
            return None
        plain = chosen._replace(truth=None).key  # a check before the truth was chosen
        return self.session.checks.get(chosen.key, self.session.checks.get(plain))

    def check(self) -> None:
        """Check the chosen model on the chosen image in the background."""
        self.problem.show_error(None)
        chosen = self._chosen()
        if chosen is None:
            return
        layer, entry, truth, _ = chosen
        try:
            image = self._image()
            reference = None if truth is None else image_of(truth, image.axes)
        except CosddError as error:
            self.problem.show_error(error)
            return

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            model = entry.load()
            yield Result(
                check(image, model, reference=reference, fill=filling(model), stop=stop)
            )

        # The key holds id(pixels); Python may reuse it once these pixels are freed.
        for one in filter(None, (layer, truth)):
            weakref.finalize(data_of(one), self.session.checks.pop, chosen.key, None)
        self.session.check(Job(f"checking {entry.name}", work), chosen.key)

    def _save(self) -> None:
        if self.found is None:
            return
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the page", "check.png", "Page (*.png);;Numbers (*.json)"
        )
        if name:
            self.save_to(Path(name))

    def save_to(self, path: Path) -> None:
        """Write the page of plots; show the error if that fails."""
        found = self.found
        if found is None:
            return
        try:
            write_check(path if path.suffix else named(path, ".png"), found)
        except OSError as error:
            self.problem.show_error(error)

    def _copy(self) -> None:
        """Put the methods paragraph into the clipboard."""
        chosen, clipboard = self._chosen(), QApplication.clipboard()
        if chosen is None or clipboard is None:
            return
        try:
            model = chosen.entry.load()
        except CosddError as error:
            self.problem.show_error(error)
            return
        text = methods_paragraph(model, self._settings(model), self.found)
        clipboard.setText(text)
        self.copied.setText(f"Copied, {len(text.split())} words: paste it anywhere.")
        self._copied_ends.start()

    def _settings(self, model: Any) -> PredictionConfig | None:
        """Return the settings of the last denoising, if it used this model."""
        done = self.session.denoising
        if done is None or not done.about.complete:
            return None
        said = done.about.provenance
        if said["model_hash"] != model.fingerprint:
            return None
        return PredictionConfig.model_validate(said["settings"])

    def refresh(self) -> None:
        """Show the stored check, or that a check is running."""
        chosen, checking = self._chosen(), self.session.checking
        ready, job = chosen is not None, checking and checking.job
        ours = chosen is not None and checking and checking.about == chosen.key
        denoising = self.session.denoising
        active = job is not None and job.active
        busy = denoising is not None and denoising.job.active
        why = "A check is running" if active else "Choose a model and an image first"
        if busy:
            why = "Wait until denoising is done"
        enable(self.run, ready and not active and not busy, why)
        enable(self.copy, ready, "Choose a model first")
        found = self.found
        enable(self.page, found is not None, "Press Check first")
        self.details.setVisible(found is not None)
        again = active and ours
        self.light.show_grade(None if found is None or again else found.grade)
        if again:
            self.verdict.setText("Checking whether the result can be right …")
        else:
            self.verdict.setText(found.verdict if found is not None else "")
        if job is not None and not active:
            self.problem.show_error(job.error if ours else None)
        coverage = None if found is None else found.coverage
        self.coverage.setVisible(coverage is not None)
        self.against_truth.setText("")
        if coverage is not None:
            self.coverage.show_coverage(*coverage)
        if found is not None:
            self.against_truth.setText("\n".join(found.against_reference))
            lines = [(escape(f.heading), escape(f.text)) for f in found.findings]
            parts = [f"<p><b>{title}</b><br>{text}</p>" for title, text in lines]
            self.list.setText("".join(parts))
