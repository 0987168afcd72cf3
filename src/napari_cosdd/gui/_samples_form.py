"""The part of the Denoise dock that says how many samples, and what of them is kept."""

from functools import partial
from typing import Any

from qtpy.QtWidgets import QCheckBox, QSpinBox, QVBoxLayout, QWidget

from napari_cosdd.gui._forms import ConfigForm
from napari_cosdd.gui._remembered import remember
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._widgets import Folded, enable, field, row, without_wheel
from napari_cosdd.methods.capabilities import SamplesSignal
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.settings.prediction import PredictionConfig

#: Samples that become layers unless the user changes it.
KEPT = 8


class SamplesForm(QWidget):
    """Numbers of samples, what becomes layers, and the further settings, folded."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        defaults = PredictionConfig()
        self.n_samples = _spin(2, 10_000, defaults.n_samples)
        self.n_kept = _spin(0, 200, KEPT)
        self.stacked = QCheckBox("in one layer")
        self.stacked.setToolTip("One layer with a slider instead of a layer each")
        self.plane = QCheckBox("current plane only")
        self.replace = QCheckBox("replace earlier results")
        self.replace.setChecked(session.replace_results)
        self.replace.toggled.connect(partial(setattr, session, "replace_results"))
        for key, widget in (
            ("mean of", self.n_samples),
            ("keep", self.n_kept),
            ("in one layer", self.stacked),
            ("replace", self.replace),
        ):
            remember(f"denoise/{key}", widget)
        self.form = ConfigForm(defaults, leave_out=["n_samples", "n_kept"])
        self.advanced = Folded("Advanced")
        self.advanced.addWidget(self.form.widget.native)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        tip = "Samples in the MMSE mean; more make it smoother"
        self.drawn = [field("Mean of", self.n_samples, tip=tip)]
        tip = "Posterior samples that become layers"
        self.drawn.append(field("Keep", self.n_kept, self.stacked, tip=tip))
        for line in self.drawn:
            column.addWidget(line)
        column.addWidget(row(self.plane, self.replace))
        column.addWidget(self.advanced)

    def config(self, **changes: Any) -> PredictionConfig:
        """Return the validated settings, with some changed.

        Raises
        ------
        BadInputError
            If a setting is out of bounds.
        """
        numbers = {"n_samples": self.n_samples.value(), "n_kept": self.n_kept.value()}
        return PredictionConfig.from_values(numbers | self.form.changes() | changes)

    def show_for(self, model: TrainedModel | None) -> None:
        """Show the numbers of samples if a model draws any, or is not read yet."""
        draws = model is None or isinstance(model.method, SamplesSignal)
        for line in self.drawn:
            line.setVisible(draws)

    def allow_plane(self, on: bool) -> None:
        """Offer the current plane alone, if the image has several."""
        enable(self.plane, on, "The image has one plane only")


def _spin(low: int, high: int, value: int) -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(low, high)
    spin.setValue(value)
    spin.setSuffix(" samples")
    spin.setMinimumWidth(60)
    without_wheel(spin)
    return spin
