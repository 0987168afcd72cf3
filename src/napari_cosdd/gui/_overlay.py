"""The bar of autocorrelation cells that lies over the image (COSDD, figure 3)."""

from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray

from napari_cosdd.api import NoiseReport
from napari_cosdd.gui._layers import add_part, data_of, part_name, parts_of, place
from napari_cosdd.gui._plots import DIVERGING

#: Lags to each side, and the side of a cell as a share of the image's longer side.
LAGS, SHARE = 10, 1 / 80
PART = "noise"
#: Distance of the bar from a border, and its possible starts along that border, as
#: shares of the image. The corners are avoided: they may lie outside the view.
INSET, PLACES = 0.03, (0.2, 0.37, 0.54)


def show_bar(viewer: Any, layer: ImageLayer, found: NoiseReport) -> None:
    """Show the bar over the layer, near a border, where there is the least signal."""
    bar = _bar(found)
    size = data_of(layer).shape[-2:]
    zoom = max(1.0, round(max(size) * SHARE))
    zoom = min(zoom, *(s / b for s, b in zip(size, bar.shape, strict=True)))
    start = _quiet_place(layer, [b * zoom for b in bar.shape])
    look = place(layer, ndim=2, offset=start, zoom=zoom)
    hide_bar(viewer, layer)
    active = viewer.layers.selection.active
    add_part(
        viewer,
        layer,
        PART,
        bar,
        name=part_name(layer.name, "noise correlation"),
        colormap=Colormap(np.array(DIVERGING) / 255, name="cosdd correlation"),
        contrast_limits=(-1, 1),
        **look,
    )
    viewer.layers.selection.active = active


def hide_bar(viewer: Any, layer: ImageLayer) -> None:
    """Remove the bar, if there is one."""
    existing = parts_of(viewer.layers, layer).get(PART)
    if existing is not None:
        viewer.layers.remove(existing)


def _bar(found: NoiseReport) -> NDArray[np.float32]:
    """Return the correlation at lags up to `LAGS` either way along the noise's axis."""
    values, middle = found.correlation.values, found.correlation.max_lag
    lag = min(LAGS, middle)
    part = slice(middle - lag, middle + lag + 1)
    if found.facts.axis == "y":
        return values[part, middle][:, None].astype(np.float32)
    return values[middle, part][None].astype(np.float32)


def _quiet_place(layer: ImageLayer, size: list[float]) -> tuple[float, float]:
    """Return where a box of `size` covers the least signal, near a border."""
    data = data_of(layer)
    plane = (0,) * (data.ndim - 2)
    height, width = data.shape[-2:]
    tall, wide = size
    if tall > wide:
        ys = [p * height for p in PLACES]
        xs = [INSET * width, width - wide - INSET * width]
    else:
        ys = [INSET * height, height - tall - INSET * height]
        xs = [p * width for p in PLACES]
    places = [(min(y, height - tall), min(x, width - wide)) for y in ys for x in xs]

    def signal(place: tuple[float, float]) -> float:
        box = tuple(
            slice(int(c), int(c + s) + 1) for c, s in zip(place, size, strict=True)
        )
        return float(np.nanmean(np.asarray(data[(*plane, *box)])))

    return min(places, key=signal)
