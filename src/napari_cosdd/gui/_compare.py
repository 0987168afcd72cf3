"""Compare the solutions: step through them, film, grid, difference, probe, scores."""

from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_cosdd._formatting import grey_level
from napari_cosdd.errors import CosddError
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import (
    KEY,
    data_of,
    is_part_of,
    key_of,
    parts_of,
    role_of,
)
from napari_cosdd.gui._places import plane_at
from napari_cosdd.gui._plots import SampleBars
from napari_cosdd.gui._results import SAMPLES
from napari_cosdd.gui._side_by_side import SideBySide, one_each
from napari_cosdd.gui._signed import show_signed
from napari_cosdd.gui._widgets import (
    Heading,
    Sentence,
    button,
    enable,
    field,
    listen,
    row,
    uncheck,
)
from napari_cosdd.methods.outputs import MEAN, Output, sample_output
from napari_cosdd.metrics import score

#: Time for which the film shows a sample, milliseconds.
FRAME = 200
CHOOSE, POINT = "none", "Point at the image to see mean ± deviation."
#: A sample minus the mean.
DIFFERENCE = Output("difference", "derived", "scale")


class CompareView(QWidget):
    """Shows the mean and the posterior samples of one source, one at a time.

    Signals: `stepped` when another solution is shown; `tiling` before the solutions are
    laid side by side; `lost` with the part whose layer was removed.
    """

    stepped = Signal()
    lost = Signal(str)
    tiling = Signal()

    def __init__(self, viewer: Any, theme: str) -> None:
        super().__init__()
        self.viewer = viewer
        self.source: ImageLayer | None = None
        self.at = 0  # 0: the mean, k: sample k
        self.tiles = SideBySide(viewer)
        self.label = QLabel()
        self.label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.back = button("◀", "Previous sample (left arrow)")
        self.forth = button("▶", "Next sample (right arrow)")
        self.film = button("Film", "Play through the samples", checkable=True)
        self.grid = button(
            "Grid",
            "Noisy image, mean and up to 8 samples side by side",
            checkable=True,
        )
        self.difference = button(
            "− mean", "Show this sample minus the mean", checkable=True
        )
        self.probe = Sentence(POINT)
        self.bars = SampleBars(theme)
        self.reference = LayerChoice(viewer, none=CHOOSE)
        self.scores = Sentence()
        self._timer = QTimer(self, interval=FRAME)
        self._timer.timeout.connect(self._next)
        self._build()
        self.back.clicked.connect(lambda: self.step(-1))
        self.forth.clicked.connect(lambda: self.step(1))
        self.film.toggled.connect(self._play)
        self.grid.toggled.connect(self._show_grid)
        self.difference.toggled.connect(lambda _on: self.show_at(self.at))
        self.reference.chosen.connect(self.update_scores)
        listen(self, viewer.cursor.events.position, self._probe)
        listen(self, viewer.layers.events.removed, self._removed)
        listen(self, viewer.dims.events.current_step, self._plane_changed)
        for made in self.findChildren(QPushButton):
            made.setMinimumWidth(30)
            made.installEventFilter(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._describe()

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(Heading("Compare the solutions"))
        self.back.setFixedWidth(32)
        self.forth.setFixedWidth(32)
        column.addWidget(row(self.back, self.label, self.forth, stretch=1))
        column.addWidget(row(self.film, self.grid, self.difference))
        column.addWidget(self.probe)
        column.addWidget(self.bars)
        column.addWidget(
            field("Truth", self.reference, tip="Clean image, for PSNR and SSIM")
        )
        column.addWidget(self.scores)

    # What the user does -------------------------------------------------------

    def show_source(self, source: ImageLayer) -> None:
        """Compare the results of another source."""
        if self.source is None or key_of(source) != key_of(self.source):
            self.film.setChecked(False)
            self.grid.setChecked(False)
            self.source, self.at = source, 0
            self.bars.hide()
            self.probe.setText(POINT)
            self.update_scores()
        self._describe()

    def _removed(self, event: Any) -> None:
        """Show a solution if the one that was shown, or a view of it, is gone."""
        gone, parts = event.value, self.parts()
        if self.source is None or not is_part_of(gone, self.source):
            return
        if role_of(gone) is None:
            return
        part = gone.metadata[KEY]["part"]
        if part == DIFFERENCE.name:
            uncheck(self.difference)
        self.lost.emit(part)
        shown = [x for x in parts.values() if role_of(x) is not None and x.visible]
        nothing = gone.visible and not shown and not self.grid.isChecked()
        if nothing and MEAN.name in parts:
            self.show_at(min(self.at, len(self.samples())))

    def _next(self) -> None:
        self.step(1)

    def step(self, by: int) -> None:
        """Move `by` places in the cycle of mean and samples; a film skips the mean."""
        n = len(self.samples())
        if self.film.isChecked():
            self.show_at(self.at % n + 1 if n else 0)
        else:
            self.show_at((self.at + by) % (n + 1))

    def show_at(self, at: int) -> None:
        """Show the mean (0) or sample `at` alone."""
        self.at = at
        parts = self.parts()
        shown = MEAN.name
        if at > 0 and self.difference.isChecked():
            self._make_difference(at - 1)
            shown, parts = DIFFERENCE.name, self.parts()
        elif at > 0 and SAMPLES.name in parts:
            shown = SAMPLES.name
            axis = self.viewer.dims.ndim - parts[SAMPLES.name].ndim
            self.viewer.dims.set_point(axis, at - 1)
        elif at > 0:
            shown = sample_output(at - 1).name
        for part, layer in parts.items():
            if role_of(layer) is not None:
                layer.visible = part == shown
        self._describe()
        self.stepped.emit()

    def keyPressEvent(self, event: Any) -> None:
        """Step with the arrow keys."""
        if not self._stepped(event):
            super().keyPressEvent(event)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Step with the arrow keys also while a button has the focus."""
        pressed = event.type() == QEvent.Type.KeyPress
        return (pressed and self._stepped(event)) or super().eventFilter(watched, event)

    def _stepped(self, event: Any) -> bool:
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(event.key())
        if by is not None:
            self.step(by)
        return by is not None

    def hideEvent(self, event: Any) -> None:
        """Stop the film when the view is hidden."""
        super().hideEvent(event)
        self.film.setChecked(False)

    def parts(self) -> dict[str, ImageLayer]:
        """Return the result layers of the source by part."""
        if self.source is None:
            return {}
        return parts_of(self.viewer.layers, self.source)

    def samples(self) -> list[NDArray[Any]]:
        """Return the pixels of the kept samples in order, each as large as the mean."""
        parts = self.parts()
        if SAMPLES.name in parts:
            return list(parts[SAMPLES.name].data)
        return [layer.data for layer in one_each(self.parts())]

    # What is shown ------------------------------------------------------------

    def _describe(self) -> None:
        n = len(self.samples())
        self.at = min(self.at, n)
        self.label.setText("mean" if self.at == 0 else f"sample {self.at} of {n}")
        why = "Denoise with samples to keep first"
        for widget in (self.back, self.forth, self.film, self.grid, self.difference):
            enable(widget, n > 0, why)

    def _play(self, on: bool) -> None:
        (self._timer.start if on else self._timer.stop)()

    def _show_grid(self, on: bool) -> None:
        """Lay source, samples and mean side by side, or end that."""
        if not on:
            self.tiles.hide()
        elif self.source is not None and MEAN.name in self.parts():
            self.film.setChecked(False)
            self.tiling.emit()
            self.tiles.show(self.source, self.parts())

    def _make_difference(self, index: int) -> None:
        """Show a sample minus the mean in a layer of its own."""
        parts, samples = self.parts(), self.samples()
        if self.source is None or MEAN.name not in parts or index >= len(samples):
            return
        mean = parts[MEAN.name]
        try:
            show_signed(self.viewer, self.source, DIFFERENCE, samples[index], mean)
        except CosddError as error:
            self.probe.setText(str(error))

    def shown_pixels(self) -> Any:
        """Return the pixels of the solution that is shown, as large as the mean."""
        samples = self.samples()
        if 0 < self.at <= len(samples):
            return samples[self.at - 1]
        return self.parts()[MEAN.name].data

    def _probe(self, event: Any = None) -> None:
        """Show mean ± deviation of the samples at the cursor."""
        parts = self.parts()
        if MEAN.name not in parts or not self.isVisible():
            return
        mean = parts[MEAN.name]
        position = mean.world_to_data(self.viewer.cursor.position[-mean.ndim :])
        index = tuple(int(np.round(p)) for p in position)
        inside = all(0 <= i < n for i, n in zip(index, mean.data.shape, strict=True))
        if not inside:
            return
        text = f"At the cursor: {grey_level(mean.data[index])}"
        for layer in parts.values():
            if role_of(layer) == "spread" and layer.data.shape == mean.data.shape:
                text += f" ± {grey_level(layer.data[index])} grey levels"
        self.probe.setText(text)
        shape = mean.data.shape
        values = [float(s[index]) for s in self.samples() if s.shape == shape]
        if values:
            self.bars.show_values(values, float(mean.data[index]))

    def _plane_changed(self, event: Any = None) -> None:
        if self.reference.layer is not None and self.isVisible():
            self.update_scores()

    def update_scores(self) -> None:
        """Score noisy image, mean and first sample against the truth, in one plane."""
        truth, parts = self.reference.layer, self.parts()
        if truth is None or MEAN.name not in parts:
            self.scores.setText("")
            return
        if self.source is not None and self.source in self.viewer.layers:
            parts = {"noisy": self.source, **parts}
        lines = []
        for name in ("noisy", MEAN.name, sample_output(0).name):
            if name not in parts:
                continue
            try:
                found = score(self._shown(parts[name]), self._shown(truth))
            except CosddError as error:
                self.scores.setText(str(error))
                return
            lines.append(f"{name}: {found.psnr:.1f} dB, SSIM {found.ssim:.2f}")
        self.scores.setText("\n".join(lines))

    def _shown(self, layer: ImageLayer) -> NDArray[Any]:
        """Return the plane of a layer that the viewer shows."""
        return plane_at(layer, data_of(layer), self.viewer.dims.point)
