"""The part of the Train dock with the targets and the noise model of a method."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_cosdd import api
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import axes_of, image_of
from napari_cosdd.gui._session import session_of
from napari_cosdd.gui._suffixes import SUFFIX
from napari_cosdd.gui._widgets import Problem, Sentence, button, enable, field
from napari_cosdd.methods.values import Needs

NO_TARGET, NO_NOISE_MODEL = "choose a layer", "none chosen"
LEARNED = "none: learned along"


class NeedsForm(QWidget):
    """Targets and noise model; shows only the rows that the chosen method needs.

    Signals: `changed` when something else is chosen.
    """

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._needs = Needs()
        self.target = LayerChoice(viewer, none=NO_TARGET)
        self.folder: Path | None = None
        self.browse = button(
            "Folder…", "Take the targets from a folder instead", self._browse
        )
        self.target_row = field(
            "Target",
            self.target,
            self.browse,
            tip="Image of the same scene to learn from: clean, or with other noise",
        )
        self.noise_model: Path | None = None
        self.noise_model_name = Sentence(NO_NOISE_MODEL)
        self.noise_model_row = field(
            "Camera",
            self.noise_model_name,
            button("Noise model…", "Open a noise model file", self._open),
            tip="The camera's noise model: measure it in the Noise dock (Calibrate)",
        )
        self.problem = Problem()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.target_row, self.noise_model_row, self.problem):
            column.addWidget(widget)
        self.target.chosen.connect(self.changed)
        session = session_of(viewer)
        session.calibrated.connect(self.open_noise_model)
        if session.noise_model is not None:
            self.open_noise_model(session.noise_model)

    def show_needs(self, needs: Needs) -> None:
        """Show the rows that a method needs."""
        self._needs = needs
        self.target_row.setVisible(needs.target != "none")
        self.noise_model_row.setVisible(bool(needs.noise_models))
        if self.noise_model is None:
            text = LEARNED if needs.learns_noise else NO_NOISE_MODEL
            self.noise_model_name.setText(text)
        self.setVisible(needs.target != "none" or bool(needs.noise_models))

    def targets(self, axes: str) -> Callable[[], list[api.Image]]:
        """Return a function that returns the targets; it reads a folder when called.

        Raises
        ------
        BadInputError
            If the method needs targets and none are chosen.
        """
        if self._needs.target == "none":
            return list
        if self.folder is not None:
            folder, letters = self.folder, axes or None
            return lambda: api.as_images(folder, letters)
        layer = self.target.layer
        if layer is None:
            raise BadInputError(
                "Choose the layer with the target, or a folder of targets."
            )
        image = image_of(layer, axes or axes_of(layer))
        return lambda: [image]

    @property
    def chosen_noise_model(self) -> Path | None:
        """The noise model file; None if the method takes none."""
        return self.noise_model if self._needs.noise_models else None

    def open_noise_model(self, path: Path) -> None:
        """Choose a noise model file; show the error if it cannot be read."""
        try:
            model = api.load_noise_model(path)
        except CosddError as error:
            self.problem.show_error(error)
            return
        self.problem.show_error(None)
        self.noise_model = path
        self.noise_model_name.setText(f"{path.stem} ({model.title})")
        self.changed.emit()

    def _browse(self) -> None:
        chosen = ""
        if self.folder is None:
            chosen = QFileDialog.getExistingDirectory(self, "Folder of targets")
        self.folder = Path(chosen) if chosen else None
        enable(
            self.target,
            self.folder is None,
            "A folder is chosen instead: press × folder first",
        )
        self.browse.setText("Folder…" if self.folder is None else "× folder")
        self.changed.emit()

    def _open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a noise model", "", f"Noise models (*{SUFFIX})"
        )
        if path:
            self.open_noise_model(Path(path))
