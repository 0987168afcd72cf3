"""The width of the point spread function: typed, from the optics, or from beads."""

from contextlib import suppress
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import axes_of, image_of
from napari_cosdd.gui._places import current_plane
from napari_cosdd.gui._widgets import Problem, Sentence, button, choice, field
from napari_cosdd.images.point_spread import from_beads, from_optics

#: Where the width comes from, in words.
OPTICS = "wide-field optics"
CONFOCAL = "confocal optics"
BEADS = "a layer of beads"


class PsfRow(QWidget):
    """A row with the deviation of the point spread function in pixels.

    Signals: `changed` when another number stands there.
    """

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self.number = QLineEdit("1")
        self.number.setMaximumWidth(70)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        tip = "Deviation of the Gaussian that stands for the point spread function"
        find = button("Find…", "From the optics or from beads", self._find)
        column.addWidget(
            field("PSF", self.number, Sentence("px (sigma)"), find, tip=tip)
        )
        self.number.editingFinished.connect(self.changed)

    def _find(self) -> None:
        dialog = PsfDialog(self._viewer, self)
        if dialog.exec() and dialog.width_found is not None:
            self.number.setText(f"{dialog.width_found:.3g}")
            self.changed.emit()
        dialog.deleteLater()


class PsfDialog(QDialog):
    """Computes the deviation from what the user gives, while the user gives it.

    Attributes
    ----------
    width_found : float or None
        Deviation, pixels; None: it cannot be told.
    """

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Point spread function")
        self.setMinimumWidth(380)
        self._viewer = viewer
        self.width_found: float | None = None
        self.source = choice(OPTICS, CONFOCAL, BEADS)
        self.aperture = _number(1.4, 0.01, 1.7, "", 2)
        self.wavelength = _number(520, 1, 20_000, " nm", 0)
        self.excitation = _number(488, 1, 20_000, " nm", 0)
        self.pixel = _number(100, 0.001, 1e6, " nm", 1)
        self.beads = LayerChoice(viewer, none="choose a layer")
        self.diameter = _number(100, 0, 100_000, " nm", 0)
        self.sentence, self.problem = Sentence(), Problem()
        ok = QDialogButtonBox.StandardButton.Ok
        self.buttons = QDialogButtonBox(ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._build()
        active = viewer.layers.selection.active
        if active is not None and not getattr(active, "rgb", True):
            self._take_pixel_size(active)
        self.source.currentTextChanged.connect(lambda _text: self._refresh())
        self.beads.chosen.connect(self._beads_chosen)
        for spin in self._numbers:
            spin.valueChanged.connect(lambda _value: self._refresh())
        self._refresh()

    @property
    def _numbers(self) -> tuple[QDoubleSpinBox, ...]:
        return (
            self.aperture,
            self.wavelength,
            self.excitation,
            self.pixel,
            self.diameter,
        )

    def _build(self) -> None:
        column = QVBoxLayout(self)
        self.rows = {
            "source": field("From", self.source),
            "aperture": field("NA", self.aperture, tip="Numerical aperture"),
            "wavelength": field("Emission", self.wavelength, tip="Wavelength"),
            "excitation": field(
                "Excitation", self.excitation, tip="Wavelength; for a small pinhole"
            ),
            "beads": field("Beads", self.beads, tip="Single bright beads in focus"),
            "diameter": field("Diameter", self.diameter, tip="Of a bead"),
            "pixel": field("Pixel", self.pixel, tip="Side of a pixel in the sample"),
        }
        for widget in (*self.rows.values(), self.sentence, self.problem, self.buttons):
            column.addWidget(widget)

    def _take_pixel_size(self, layer: Any) -> None:
        with suppress(CosddError):  # it is no image of grey levels
            size = image_of(layer, axes_of(layer)).pixel_nm
            if size is not None:
                self.pixel.setValue(size)

    def _beads_chosen(self) -> None:
        if self.beads.layer is not None:
            self._take_pixel_size(self.beads.layer)
        self._refresh()

    def _refresh(self) -> None:
        """Show the rows that the source needs, and the width found."""
        source = self.source.currentText()
        for name, widget in self.rows.items():
            if name in ("aperture", "wavelength"):
                widget.setVisible(source != BEADS)
            elif name in ("beads", "diameter"):
                widget.setVisible(source == BEADS)
            elif name == "excitation":
                widget.setVisible(source == CONFOCAL)
        self.width_found, problem = None, None
        try:
            self.width_found = self._width()
        except CosddError as error:
            problem = error
        found = self.width_found
        text = "" if found is None else f"Deviation: {found:.3g} px"
        if found is not None:
            text += f" ({found * self.pixel.value():.4g} nm)"
        self.sentence.setText(text)
        self.problem.show_error(problem)
        ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        ok.setEnabled(found is not None)

    def _width(self) -> float:
        source, pixel = self.source.currentText(), self.pixel.value()
        if source == BEADS:
            layer = self.beads.layer
            if layer is None:
                raise BadInputError("Choose the layer with the beads.")
            image = image_of(layer, axes_of(layer))
            plane = current_plane(layer, image.axes, self._viewer.dims.point, "YX")
            pixels = np.squeeze(np.asarray(image.data[plane]))
            return from_beads(pixels, self.diameter.value() / pixel)
        excitation = self.excitation.value() if source == CONFOCAL else None
        return from_optics(
            self.aperture.value(), self.wavelength.value(), pixel, excitation
        )


def _number(
    value: float, low: float, high: float, unit: str, decimals: int
) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setDecimals(decimals)
    spin.setRange(low, high)
    spin.setValue(value)
    spin.setSuffix(unit)
    return spin
