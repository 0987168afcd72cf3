"""Small live plots in napari's own colours, drawn with pyqtgraph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from napari.utils.theme import get_theme
from numpy.typing import ArrayLike, NDArray
from pyqtgraph.exporters import ImageExporter
from qtpy.QtCore import Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import QWidget

#: Okabe and Ito's colours, which colour-blind people can tell apart, and dashes for
#: more curves than colours.
COLORS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#999999")
DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)
#: Red positive, white zero, blue negative.
DIVERGING = ((5, 48, 97), (67, 147, 195), (247, 247, 247), (214, 96, 77), (103, 0, 31))
HEIGHT = 174


def pen(i: int, width: float = 1.6, alpha: int = 255) -> Any:
    """Return the pen of curve `i`."""
    color = pg.mkColor(COLORS[i % len(COLORS)])
    color.setAlpha(alpha)
    return pg.mkPen(color, width=width, style=DASHES[i // len(COLORS) % len(DASHES)])


def diverging() -> pg.ColorMap:
    """Return the colour map of correlations, -1 to 1."""
    return pg.ColorMap(np.linspace(0, 1, len(DIVERGING)), np.array(DIVERGING))


class Plot(pg.PlotWidget):
    """A plot of fixed height with small labels; its size never jumps."""

    def __init__(self, x: str, y: str, theme: str, parent: QWidget | None = None):
        super().__init__(parent)
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(120)
        item = self.getPlotItem()
        item.hideButtons()
        item.setMenuEnabled(False)
        self._titles = {"bottom": x, "left": y}
        font = QFont()
        font.setPointSize(8)
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.setStyle(tickFont=font, tickTextOffset=3)
            axis.enableAutoSIPrefix(False)
        item.getAxis("left").setWidth(54)
        item.getAxis("bottom").setHeight(34)
        item.layout.setContentsMargins(1, 1, 1, 6)  # labels reach beyond their axis
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Take napari's colours."""
        self._theme = theme
        colors = get_theme(theme)
        text, canvas = colors.text.as_hex(), colors.background.as_hex()
        self.setBackground(canvas)
        for side, title in self._titles.items():
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)
            axis.setLabel(title, color=text, **{"font-size": "8pt"})
        legend = self.getPlotItem().legend
        if legend is not None:
            legend.setLabelTextColor(text)
            for _, label in legend.items:
                label.setText(label.text)  # the color applies to the next text

    def write_png(self, path: Path) -> None:
        """Write the plot as a picture, three times as wide as shown.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        path.touch()  # Qt says nothing if it cannot write
        exporter = ImageExporter(self.getPlotItem())
        exporter.parameters()["width"] = 3 * self.width()
        exporter.export(str(path))


class ProfilePlot(Plot):
    """Autocorrelation along rows and columns, with the band of significance."""

    def __init__(self, theme: str) -> None:
        super().__init__("lag (px)", "autocorrelation", theme)
        self.addLegend(offset=(-4, 2), labelTextSize="8pt", verSpacing=-7)
        self._band = pg.LinearRegionItem(
            (0, 0), "horizontal", brush=(128, 128, 128, 70), movable=False
        )
        for line in self._band.lines:
            line.setPen(None)
        self.addItem(self._band)
        self._rows = self.plot(
            [], [], pen=pen(4), symbol="o", symbolSize=4, name="along rows (x)"
        )
        self._columns = self.plot(
            [], [], pen=pen(5), symbol="t", symbolSize=4, name="along columns (y)"
        )
        for item, i in ((self._rows, 4), (self._columns, 5)):
            item.setSymbolBrush(COLORS[i])
            item.setSymbolPen(None)
        self.setYRange(-0.25, 1.02)
        self.set_theme(theme)

    def show_profiles(self, x: ArrayLike, y: ArrayLike, band: float) -> None:
        """Draw both profiles, lag 0 first, and ± `band` around zero."""
        x, y = np.asarray(x), np.asarray(y)
        self._rows.setData(np.arange(len(x)), x)
        self._columns.setData(np.arange(len(y)), y)
        self._band.setRegion((-band, band))
        self.setYRange(min(-0.25, x.min(), y.min()), 1.02)


class VariancePlot(Plot):
    """Variance of the noise against the signal, and that of a noise model."""

    def __init__(self, theme: str) -> None:
        super().__init__("signal (grey levels)", "variance (grey levels²)", theme)
        self._fit = self.plot([], [], pen=pen(4))
        self._points = self.plot([], [], pen=pen(2), symbol="o", symbolSize=4)
        self._points.setSymbolBrush(COLORS[2])
        self._points.setSymbolPen(None)

    def show_variance(self, signal: ArrayLike, variance: ArrayLike) -> None:
        """Draw variance, grey levels squared, against signal, grey levels."""
        self._points.setData(np.asarray(signal), np.asarray(variance))
        self.setYRange(0, float(np.max(variance, initial=1e-12)), padding=0.06)

    def show_fit(self, signal: ArrayLike, variance: ArrayLike) -> None:
        """Draw the variance of a noise model as a line without points."""
        self._fit.setData(np.asarray(signal), np.asarray(variance))
        highest = max(float(np.max(variance)), *self._points.yData)
        self.setYRange(0, highest, padding=0.06)


class DensityPlot(Plot):
    """p(x | s) of a noise model as a picture, each column scaled to its highest."""

    def __init__(self, theme: str) -> None:
        super().__init__("signal s (grey levels)", "pixel x (grey levels)", theme)
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setColorMap(pg.colormap.get("viridis"))
        self.addItem(self._image)
        self.plot([], [])

    def show_density(
        self, density: NDArray[np.float64], signal: ArrayLike, noisy: Sequence[float]
    ) -> None:
        """Draw a density (x, s) over its ranges of signal and noisy pixel."""
        low, high = np.min(signal), np.max(signal)
        shown = density / np.maximum(density.max(0), 1e-30)
        self._image.setImage(shown, levels=(0, 1))
        self._image.setRect(low, noisy[0], high - low, noisy[1] - noisy[0])
        self.setRange(xRange=(low, high), yRange=tuple(noisy), padding=0.02)


class CorrelationMap(Plot):
    """The two-dimensional autocorrelation: red positive, blue negative."""

    def __init__(self, theme: str) -> None:
        super().__init__("lag x (px)", "lag y (px)", theme)
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setColorMap(diverging())
        self.addItem(self._image)
        self.getPlotItem().setAspectLocked(True)
        self.getPlotItem().invertY(True)

    def show_map(self, values: NDArray[np.float64], shown: int = 12) -> None:
        """Draw the middle of the map, lags up to `shown`."""
        middle = len(values) // 2
        lag = min(shown, middle)
        part = slice(middle - lag, middle + lag + 1)
        self._image.setImage(values[part, part], levels=(-1, 1))
        self._image.setRect(-lag - 0.5, -lag - 0.5, 2 * lag + 1, 2 * lag + 1)
        self.getPlotItem().getViewBox().autoRange(padding=0.02)


class CoveragePlot(Plot):
    """How often the truth lies in the posterior's intervals; hidden until known."""

    def __init__(self, theme: str) -> None:
        super().__init__("interval of the samples", "truth within", theme)
        self.plot([0, 1], [0, 1], pen=pg.mkPen("#999999"))
        self._curve = self.plot([], [], pen=pen(2), symbol="o", symbolSize=4)
        self._curve.setSymbolBrush(COLORS[2])
        self._curve.setSymbolPen(None)
        self.setRange(xRange=(0, 1), yRange=(0, 1), padding=0.03)
        self.hide()

    def show_coverage(self, nominal: ArrayLike, measured: ArrayLike) -> None:
        """Draw the measured shares, 0 to 1, over the nominal ones."""
        self._curve.setData(np.asarray(nominal), np.asarray(measured))
        self.show()


class SampleBars(Plot):
    """Values of the samples at one pixel as bars, and the mean as a line."""

    def __init__(self, theme: str) -> None:
        super().__init__("sample", "grey level", theme)
        self.setFixedHeight(110)
        self._bars = pg.BarGraphItem(x=[], height=[], width=0.7, brush=COLORS[0])
        self._bars.setOpts(pen=None)
        self.hide()  # until there is something to show
        self._mean = pg.InfiniteLine(angle=0, pen=pen(1))
        self.addItem(self._bars)
        self.addItem(self._mean)

    def show_values(self, values: ArrayLike, mean: float) -> None:
        """Draw one bar per sample, and the mean as a line."""
        heights = np.asarray(values, float)
        self.show()
        self._bars.setOpts(x=np.arange(1, len(heights) + 1), height=heights)
        self._mean.setValue(mean)
        low, high = min(heights.min(), mean), max(heights.max(), mean)
        margin = max(1e-6, 0.15 * (high - low))
        self.setYRange(low - margin, high + margin)
