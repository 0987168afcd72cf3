"""The plot of a training's curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.gui._plots import Plot, pen
from napari_cosdd.gui._records import Curves, smoothed

#: Approximate number of drawn points of a curve. A plot is not much wider in pixels,
#: and drawing slows down the training.
DRAWN = 400


class CurvesPlot(Plot):
    """Curves over training steps: faint values, strong smoothed ones, validation dots.

    Parameters
    ----------
    names : mapping
        Column to label, in order; missing columns are not drawn.
    """

    def __init__(self, names: Mapping[str, str], y: str, theme: str) -> None:
        super().__init__("step", y, theme)
        self.names = dict(names)
        self._items: dict[str, tuple[Any, Any, Any]] = {}
        self._legend = self.addLegend(
            offset=(-4, 2), labelTextSize="8pt", verSpacing=-7, colCount=2
        )
        self._best = self.plot(
            [], [], pen=None, symbol="star", symbolSize=13, symbolBrush="#f0e442"
        )
        self.set_theme(theme)

    def show_curves(
        self, training: Curves, validation: Curves, best_step: int | None
    ) -> None:
        """Draw the values recorded so far."""
        shown: list[NDArray[np.float64]] = []
        for i, (name, label) in enumerate(self.names.items()):
            steps, values = training.get(name)
            if not steps:
                continue
            raw, line, points = self._item(i, name, label)
            smooth = smoothed(values)
            some = slice(None, None, max(1, len(steps) // DRAWN))
            raw.setData(steps[some], values[some])
            line.setData(steps[some], smooth[some])
            at, measured = validation.get(name)
            points.setData(at, measured)
            shown.append(np.asarray(smooth))
            shown.append(np.asarray(measured[len(measured) // 4 :]))
            if i == 0:
                best = [v for s, v in zip(at, measured, strict=True) if s == best_step]
                self._best.setData([best_step] * len(best), best)
        self._fit(shown)

    def forget(self) -> None:
        """Remove all curves, before another training."""
        for items in self._items.values():
            for item in items:
                self.removeItem(item)
        self._items.clear()
        self._legend.clear()
        self._best.setData([], [])

    def set_log(self, on: bool) -> None:
        """Switch the vertical axis between linear and logarithmic."""
        self.setLogMode(y=on)

    def _item(self, i: int, name: str, label: str) -> tuple[Any, Any, Any]:
        if name not in self._items:
            raw = self.plot([], [], pen=pen(i, 1, 60))
            line = self.plot([], [], pen=pen(i), name=label)
            self.set_theme(self._theme)
            points = self.plot(
                [], [], pen=None, symbol="o", symbolSize=5, symbolBrush=pen(i).color()
            )
            points.setSymbolPen(None)
            self._items[name] = (raw, line, points)
            self._best.setZValue(10)
        return self._items[name]

    def _fit(self, shown: Sequence[NDArray[np.float64]]) -> None:
        """Fit the axis to the lower 98 % of lines and dots, and to all later dots.

        The first losses are far above the rest.
        """
        later = [part[len(part) // 2 :] for part in shown[1::2]]
        values = np.concatenate(shown) if shown else np.zeros(0)
        dots = np.concatenate(later) if later else np.zeros(0)
        if self.getPlotItem().getAxis("left").logMode:
            values, dots = np.log10(values[values > 0]), np.log10(dots[dots > 0])
        values, dots = values[np.isfinite(values)], dots[np.isfinite(dots)]
        if values.size > 1:
            low, high = np.quantile(values, [0, 0.98])
            high = max(high, *dots) if dots.size else high
            self.setYRange(low, max(high, low + 1e-3), padding=0.08)
