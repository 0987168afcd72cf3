"""Before and after: the noisy image and its estimate, and what was removed."""

from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSlider, QVBoxLayout, QWidget

from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.gui._compare import CompareView
from napari_cosdd.gui._layers import add_part, data_of, part_name, role_of
from napari_cosdd.gui._places import place, plane_at, source_pixels
from napari_cosdd.gui._signed import show_signed
from napari_cosdd.gui._widgets import (
    Heading,
    Problem,
    button,
    enable,
    listen,
    row,
    uncheck,
    without_wheel,
)
from napari_cosdd.methods.outputs import MEAN, Output

#: Noisy pixels left of a line and denoised ones right of it, in the plane shown.
SPLIT = Output("split", "derived")
#: The noisy image minus the mean.
RESIDUAL = Output("residual", "derived", "scale")


class BeforeAfter(QWidget):
    """Shows the original instead of the result, beside it, or what was removed.

    Parameters
    ----------
    viewer : Viewer
        Its layers are shown and hidden.
    compare : CompareView
        Knows the source and its results; another step in it ends the split.
    """

    def __init__(self, viewer: Any, compare: CompareView) -> None:
        super().__init__()
        self.viewer, self.compare = viewer, compare
        self._shown_before: dict[str, bool] = {}
        self.original = button("Original", "Hold down to see the noisy image")
        self.split = button(
            "Split", "Noisy on the left, denoised on the right", checkable=True
        )
        self.residual = button(
            "Removed",
            "Noisy minus denoised. Stronger speckle in bright places is right where "
            "the noise grows with the signal; outlines and one-coloured areas are not",
            checkable=True,
        )
        self.at = without_wheel(QSlider(Qt.Orientation.Horizontal))
        self.at.setRange(0, 1000)
        self.at.setValue(500)
        self.at.setToolTip("Where the noisy part ends")
        self.problem = Problem()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(Heading("Before and after"))
        column.addWidget(row(self.original, self.split, self.residual))
        column.addWidget(self.at)
        column.addWidget(self.problem)
        self.at.hide()
        self.original.pressed.connect(self._show_original)
        self.original.released.connect(self._show_again)
        self.split.toggled.connect(self._split)
        self.residual.toggled.connect(self._show_residual)
        self.at.valueChanged.connect(lambda _value: self._draw_split())
        compare.stepped.connect(self._stepped)
        compare.tiling.connect(self._end)
        compare.lost.connect(self._lost)
        listen(self, viewer.dims.events.current_step, self._plane_changed)

    def refresh(self) -> None:
        """Enable the buttons if there is a result to compare."""
        parts = self.compare.parts()
        on = MEAN.name in parts
        for widget in (self.original, self.split, self.residual):
            enable(widget, on, "Denoise an image first")

    # The original -----------------------------------------------------------------

    def _show_original(self) -> None:
        source = self.compare.source
        if source is None or source not in self.viewer.layers:
            return
        results = [x for x in self.compare.parts().values() if role_of(x) is not None]
        self._shown_before = {x.name: x.visible for x in (source, *results)}
        for layer in results:
            layer.visible = False
        source.visible = True

    def _show_again(self) -> None:
        for name, visible in self._shown_before.items():
            if name in self.viewer.layers:
                self.viewer.layers[name].visible = visible
        self._shown_before = {}

    # The split ----------------------------------------------------------------------

    def _split(self, on: bool) -> None:
        self.at.setVisible(on)
        if on:
            self.compare.grid.setChecked(False)
            uncheck(self.residual)
            self._draw_split()
            return
        layer = self.compare.parts().get(SPLIT.name)
        if layer is not None:
            self.viewer.layers.remove(layer)
            if not self.residual.isChecked():
                self.compare.show_at(self.compare.at)

    def _draw_split(self) -> None:
        """Show the noisy plane left of the line and the denoised one right of it."""
        source, parts = self.compare.source, self.compare.parts()
        if not self.split.isChecked() or source is None or MEAN.name not in parts:
            return
        clean = self.compare.shown_pixels()
        try:
            point = self.viewer.dims.point
            after = plane_at(parts[MEAN.name], clean, point)
            before = plane_at(source, data_of(source), point)
        except BadInputError as error:  # the plane that is shown was not denoised
            self.problem.show_error(error)
            if SPLIT.name in parts:  # of another plane: the noisy image is seen
                parts[SPLIT.name].visible = False
            return
        self.problem.show_error(None)
        if before.shape != after.shape:
            return
        shown = after.astype(np.result_type(after, before, np.float32))
        left, right = _seen(parts[MEAN.name], shown.shape[1])
        line = left + round(self.at.value() / 1000 * (right - left))
        shown[:, :line] = before[:, :line]
        if 0 < line < shown.shape[1]:
            shown[:, line] = parts[MEAN.name].contrast_limits[1]
        existing = parts.get(SPLIT.name)
        if existing is not None:
            existing.data = shown
        else:
            self._add_split(source, shown, parts[MEAN.name])
        for part, layer in self.compare.parts().items():
            if role_of(layer) is not None:
                layer.visible = part == SPLIT.name

    def _add_split(
        self, source: ImageLayer, shown: NDArray[np.float32], mean: ImageLayer
    ) -> None:
        active = self.viewer.layers.selection.active
        add_part(
            self.viewer,
            source,
            SPLIT.name,
            shown,
            SPLIT,
            name=part_name(source.name, SPLIT.name),
            colormap=mean.colormap,
            contrast_limits=mean.contrast_limits,
            gamma=mean.gamma,
            **place(mean, ndim=2),
        )
        self.viewer.layers.selection.active = active

    def _lost(self, part: str) -> None:
        """End a view whose layer the user or a new result removed."""
        if part == SPLIT.name:
            uncheck(self.split)
            self.at.hide()
        elif part == RESIDUAL.name:
            uncheck(self.residual)
        self.refresh()

    def _plane_changed(self, event: Any = None) -> None:
        self._draw_split()

    def _stepped(self) -> None:
        """Follow the solution that Compare shows; end what shows something else."""
        if self.split.isChecked():
            self._draw_split()
        elif self.residual.isChecked():
            uncheck(self.residual)

    def _end(self) -> None:
        """Make room for the solutions side by side."""
        self.split.setChecked(False)
        self.residual.setChecked(False)

    # What was removed ----------------------------------------------------------------

    def _show_residual(self, on: bool) -> None:
        self.problem.show_error(None)
        source, parts = self.compare.source, self.compare.parts()
        if not on or source is None or MEAN.name not in parts:
            self.compare.show_at(self.compare.at)
            return
        try:
            noisy = source_pixels(source, parts[MEAN.name])
            show_signed(self.viewer, source, RESIDUAL, noisy, parts[MEAN.name])
        except CosddError as error:
            self.problem.show_error(error)
            self.residual.setChecked(False)
            return
        self.split.setChecked(False)
        self.compare.grid.setChecked(False)
        for part, layer in self.compare.parts().items():
            if role_of(layer) is not None:
                layer.visible = part == RESIDUAL.name


def _seen(layer: ImageLayer, width: int) -> tuple[int, int]:
    """Return the first and the last column that the canvas shows; all if unknown."""
    (left, right) = (int(x) for x in layer.corner_pixels[:, -1])
    left, right = max(0, left), min(width, right + 1)
    return (left, right) if right - left > 1 else (0, width)
