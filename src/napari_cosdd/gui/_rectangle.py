"""The rectangle that the user draws where an image has noise and no signal."""

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from qtpy.QtCore import QObject, Signal

from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._layers import data_of, part_name
from napari_cosdd.gui._places import place
from napari_cosdd.gui._widgets import listen

if TYPE_CHECKING:
    import napari

#: Least side of a rectangle that can be measured, pixels.
LEAST = 12


class NoiseRectangle(QObject):
    """A Shapes layer with a rectangle, one for each image.

    Signals: `moved` when the user changes it.
    """

    moved = Signal()

    def __init__(self, viewer: "napari.viewer.Viewer", parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer

    def draw(self, image: ImageLayer) -> None:
        """Add a rectangle for the user to move, unless there is one."""
        name = _name(image)
        if name not in self._viewer.layers:
            self._add(image, name)
        listen(self, self._viewer.layers[name].events.data, self._moved)

    def remove(self, image: ImageLayer) -> None:
        """Remove the rectangle of an image."""
        if _name(image) in self._viewer.layers:
            self._viewer.layers.remove(_name(image))

    def region(self, image: ImageLayer) -> tuple[slice, slice]:
        """Return the pixels of the image that lie in the last rectangle drawn.

        Raises
        ------
        BadInputError
            If there is no rectangle, or it covers too few pixels.
        """
        layers, name = self._viewer.layers, _name(image)
        drawn = layers[name].data if name in layers else []
        if len(drawn) == 0:
            raise BadInputError("Draw a rectangle where there is noise and no signal.")
        corners = np.asarray(drawn[-1])[:, -2:]
        size = data_of(image).shape[-2:]
        low = np.clip(np.ceil(corners.min(0)), 0, size).astype(int)
        high = np.clip(np.floor(corners.max(0)) + 1, 0, size).astype(int)
        if (high - low).min() < LEAST:
            raise BadInputError(
                f"The rectangle covers less than {LEAST} × {LEAST} pixels of the "
                "image: draw a larger one."
            )
        return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))

    def _add(self, image: ImageLayer, name: str) -> None:
        height, width = data_of(image).shape[-2:]
        (top, left), (tall, wide) = _corner(image), (height / 4, width / 4)
        corners = np.array([[0, 0], [0, wide], [tall, wide], [tall, 0]])
        corners += np.array([top, left])
        shapes = self._viewer.add_shapes(
            [corners],
            shape_type="rectangle",
            name=name,
            face_color=[0, 0, 0, 0],
            edge_color="#e69f00",
            edge_width=max(1, width / 300),
            **place(image, ndim=2),
        )
        shapes.mode = "select"

    def _moved(self, event: Any = None) -> None:
        self.moved.emit()


def _name(image: ImageLayer) -> str:
    return part_name(image.name, "noise region")


def _corner(image: ImageLayer) -> tuple[float, float]:
    """Return the corner of the darkest of 4 × 4 parts of the first plane.

    Pixels that would have to be read or computed are not waited for: then it is the
    corner of a part in the middle.
    """
    data = data_of(image)
    height, width = (n // 4 for n in data.shape[-2:])
    if not isinstance(data, np.ndarray):
        return 1.5 * height, 1.5 * width
    plane = data[(0,) * (data.ndim - 2)]
    parts = plane[: 4 * height, : 4 * width].reshape(4, height, 4, width)
    means = np.nan_to_num(parts.mean((1, 3)), nan=np.inf)
    row, column = np.unravel_index(int(means.argmin()), means.shape)
    return float(row * height), float(column * width)
