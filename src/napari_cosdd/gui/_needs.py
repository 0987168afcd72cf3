"""The part of the Train dock with targets, noise model and point spread function."""

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_cosdd import api
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import axes_of, image_of
from napari_cosdd.gui._psf import PsfRow
from napari_cosdd.gui._session import session_of
from napari_cosdd.gui._suffixes import SUFFIX
from napari_cosdd.gui._widgets import Problem, Sentence, button, enable, field
from napari_cosdd.methods.values import Needs

NO_TARGET, NO_NOISE_MODEL = "choose a layer", "none chosen"
LEARNED = "none: learned along"


class NeedsForm(QWidget):
    """Targets, noise model, point spread; shows only the rows that the method needs.

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
        self._kind = ""  # of the noise model
        self.forget = button("×", "Take no noise model", self._forget)
        self.noise_model_name = Sentence(NO_NOISE_MODEL)
        self.noise_model_row = field(
            "Camera",
            self.noise_model_name,
            self.forget,
            button("Noise model…", "Open a noise model file", self._open),
            tip="The camera's noise model: measure it in the Noise dock (Calibrate)",
        )
        self._title = ""
        self.psf = PsfRow(viewer)
        self.problem = Problem()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.target_row,
            self.noise_model_row,
            self.psf,
            self.problem,
        ):
            column.addWidget(widget)
        self.target.chosen.connect(self.changed)
        self.psf.changed.connect(self.changed)
        session = session_of(viewer)
        session.calibrated.connect(self.open_noise_model)
        if session.noise_model is not None:
            self.open_noise_model(session.noise_model)

    def show_needs(self, needs: Needs) -> None:
        """Show the rows that a method needs."""
        self._needs = needs
        self.target_row.setVisible(needs.target != "none")
        self.noise_model_row.setVisible(bool(needs.noise_models))
        self.psf.setVisible(needs.psf)
        taken = self._takes(needs)
        self.forget.setVisible(taken)
        text = LEARNED if needs.learns_noise else NO_NOISE_MODEL
        self.noise_model_name.setText(self._title if taken else text)
        shown = needs.target != "none" or needs.noise_models or needs.psf
        self.setVisible(bool(shown))

    def missing(self, needs: Needs) -> str:
        """Return what a method with these needs lacks here; "": nothing."""
        if needs.target != "none" and self.folder is None and self.target.count() < 3:
            kind = "a clean image" if needs.target == "clean" else "a second image"
            return f"It needs {kind} of the same scene: open it as a layer."
        if needs.noise_models and not needs.learns_noise and not self._takes(needs):
            kinds = " or ".join(sorted(k.replace("_", " ") for k in needs.noise_models))
            return (
                f"It needs a noise model of the camera ({kinds}): measure one in the "
                "Noise dock (Calibrate the camera), or open one with Noise model…"
            )
        return ""

    @property
    def lacking(self) -> str:
        """What the chosen method lacks; "": nothing."""
        return self.missing(self._needs)

    def _takes(self, needs: Needs) -> bool:
        """Whether the chosen noise model is of a kind that serves a method."""
        return self.noise_model is not None and self._kind in needs.noise_models

    def _forget(self) -> None:
        self.noise_model, self._kind = None, ""
        self.show_needs(self._needs)
        self.changed.emit()

    def targets(self, axes: str) -> Path | api.Image | None:
        """Return the chosen target or folder of targets; None if the method needs none.

        Raises
        ------
        BadInputError
            If the method needs targets and none are chosen.
        """
        if self._needs.target == "none":
            return None
        if self.folder is not None:
            return self.folder
        layer = self.target.layer
        if layer is None:
            raise BadInputError(
                "Choose the layer with the target, or a folder of targets."
            )
        return image_of(layer, axes or axes_of(layer))

    def chosen_noise_model(self) -> Path | None:
        """Return the noise model file; None if the method takes none or learns one.

        Raises
        ------
        BadInputError
            If the method needs one and none is chosen.
        """
        if self._needs.noise_models and (why := self.missing(self._needs)):
            raise BadInputError(why)
        return self.noise_model if self._takes(self._needs) else None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the method that these rows hold, as typed."""
        return {"psf": self.psf.number.text().strip()} if self._needs.psf else {}

    def open_noise_model(self, path: Path) -> None:
        """Choose a noise model file; show the error if it cannot be read."""
        try:
            model = api.load_noise_model(path)
        except CosddError as error:
            self.problem.show_error(error)
            return
        self.problem.show_error(None)
        self.noise_model, self._kind = path, model.kind
        self._title = f"{path.stem} ({model.title})"
        self.show_needs(self._needs)
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
