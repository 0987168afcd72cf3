"""The bar of autocorrelation cells that lies over the image (COSDD, figure 3)."""

from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray
from qtpy.QtCore import QRect, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter

from napari_cosdd.api import NoiseReport
from napari_cosdd.gui._layers import KEY, add_part, data_of, is_ours, part_name
from napari_cosdd.gui._places import place
from napari_cosdd.gui._plots import DIVERGING

#: Lags to each side.
LAGS = 10
#: Side of a cell, as a share of the longer side of what is seen of the image.
SHARE = 1 / 80
PART = "noise"
#: Distance of the bar from a border, as a share of what is seen.
INSET = 0.04
#: Possible starts of the bar along a border, as shares of what is seen. Corners are
#: avoided: docks may cover them later.
PLACES = (0.2, 0.37, 0.54)
#: Smallest side of a part of an image that the bar is fitted to, pixels.
LEAST = 40
#: Side of a cell in the picture, pixels.
CELL = 16
#: Width of the frame in the picture, pixels.
FRAME = 2
#: Height of the label in the picture, pixels.
LABEL = 26
FRAME_COLOR = QColor("#e69f00")
LABEL_COLOR = QColor("#ffc24d")


def show_bar(viewer: Any, layer: ImageLayer, found: NoiseReport) -> None:
    """Show the bar over the layer, near a border, where there is the least signal.

    It is a picture of squares, one for each lag, with a frame and a label. It is
    fitted to the part of the layer that the canvas shows.
    """
    picture = bar_picture(found)
    seen = _seen(layer)
    size = [part.stop - part.start for part in seen]
    zoom = max(1.0, round(max(size) * SHARE)) / CELL
    pairs = zip(size, picture.shape, strict=False)
    zoom = min(zoom, *((1 - 2 * INSET) * s / p for s, p in pairs))
    start = _quiet_place(layer, seen, [n * zoom for n in picture.shape[:2]])
    look = place(layer, ndim=2, offset=start, zoom=zoom)
    hide_bar(viewer)
    active = viewer.layers.selection.active
    name = part_name(layer.name, "noise correlation")
    look |= {"rgb": True, "interpolation2d": "linear"}  # so that its text is readable
    add_part(viewer, layer, PART, picture, name=name, **look)
    viewer.layers.selection.active = active


def hide_bar(viewer: Any) -> None:
    """Remove the bar, if there is one."""
    for layer in [one for one in viewer.layers if is_bar(one)]:
        viewer.layers.remove(layer)


def is_bar(layer: Any) -> bool:
    """Whether a layer is a bar of this plugin."""
    return is_ours(layer) and layer.metadata[KEY]["part"] == PART


def bar_picture(found: NoiseReport) -> NDArray[np.uint8]:
    """Return cells, frame and label as a picture, RGBA; along y it stands upright."""
    values, middle = found.correlation.values, found.correlation.max_lag
    lag = min(LAGS, middle)
    upright = found.facts.axis == "y"
    line = values[:, middle] if upright else values[middle]
    line = line[middle - lag : middle + lag + 1]
    colors = Colormap(np.array(DIVERGING) / 255).map((line + 1) / 2)
    width, height = CELL * len(line) + 2 * FRAME, LABEL + CELL + 2 * FRAME
    image = QImage(width, height, QImage.Format.Format_RGBA8888)
    image.fill(QColor(0, 0, 0, 110))
    painter = QPainter(image)
    painter.setPen(LABEL_COLOR)
    box = QRect(2 * FRAME, 0, width - 4 * FRAME, LABEL)
    text = f"noise correlation, ±{lag} px (1 px: {line[lag + 1]:.2f})"
    painter.setFont(_font_for(text, box.width()))
    painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, text)
    painter.fillRect(0, LABEL, width, height - LABEL, FRAME_COLOR)
    for i, color in enumerate(colors):
        at = FRAME + CELL * i, LABEL + FRAME
        painter.fillRect(*at, CELL, CELL, QColor.fromRgbF(*map(float, color)))
    painter.end()
    bits = image.constBits()
    if hasattr(bits, "setsize"):  # PyQt gives an address without a size
        bits.setsize(image.sizeInBytes())
    drawn = np.frombuffer(bits, np.uint8).reshape(height, width, 4).copy()
    return np.rot90(drawn).copy() if upright else drawn


def _font_for(text: str, width: int) -> QFont:
    """Return the largest font of a label in which a text is no wider than `width`."""
    font = QFont()
    for size in range(LABEL - 8, 5, -1):
        font.setPixelSize(size)
        if QFontMetrics(font).horizontalAdvance(text) <= width:
            break
    return font


def _seen(layer: ImageLayer) -> tuple[slice, slice]:
    """Return the rows and columns of a layer that the canvas shows; all if unknown."""
    size = data_of(layer).shape[-2:]
    if not layer.multiscale:
        low, high = np.clip(layer.corner_pixels[:, -2:], 0, np.subtract(size, 1))
        if (high - low >= LEAST).all():
            (top, left), (bottom, right) = low.tolist(), (high + 1).tolist()
            return slice(top, bottom), slice(left, right)
    return slice(0, size[0]), slice(0, size[1])


def _quiet_place(
    layer: ImageLayer, seen: tuple[slice, slice], size: list[float]
) -> tuple[float, float]:
    """Return where a box of `size` covers the least signal, near a border."""
    data = data_of(layer)
    plane = (0,) * (data.ndim - 2)
    top, left = (part.start for part in seen)
    height, width = (part.stop - part.start for part in seen)
    tall, wide = size
    if tall > wide:
        ys = [p * height for p in PLACES]
        xs = [INSET * width, width - wide - INSET * width]
    else:
        ys = [INSET * height, height - tall - INSET * height]
        xs = [p * width for p in PLACES]
    lowest, last = height - tall - INSET * height, width - wide - INSET * width
    corners = [(min(y, lowest), min(x, last)) for y in ys for x in xs]
    places = [(top + y, left + x) for y, x in corners]

    def signal(place: tuple[float, float]) -> float:
        box = tuple(
            slice(int(c), int(c + s) + 1) for c, s in zip(place, size, strict=True)
        )
        return float(np.nanmean(np.asarray(data[(*plane, *box)])))

    return min(places, key=signal)
