"""The part of an image that a Shapes or Labels layer marks."""

from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes
from numpy.typing import NDArray
from qtpy.QtWidgets import QVBoxLayout, QWidget
from skimage.draw import polygon2mask

from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import data_of
from napari_cosdd.gui._widgets import field

WHOLE = "whole image"


class RegionRow(QWidget):
    """A row to choose the layer that marks a region; shown if there is such a layer."""

    def __init__(self, viewer: Any, tip: str) -> None:
        super().__init__()
        self.choice = _RegionChoice(viewer, none=WHOLE)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(field("Region", self.choice, tip=tip))
        # Bound methods, since Qt disconnects only these when the widget is deleted.
        self.choice.listed.connect(self._show_if_needed)
        self._show_if_needed()

    def mask(self, image: ImageLayer) -> NDArray[np.bool_] | None:
        """Return the marked pixels of an image, (y, x); None for all.

        Raises
        ------
        BadInputError
            If the layer marks nothing of the image.
        """
        layer = self.choice.layer
        return None if layer is None else mask_of(layer, image)

    def _show_if_needed(self) -> None:
        self.setVisible(self.choice.count() > 1)


class _RegionChoice(LayerChoice):
    """A combo box of the layers that may mark a region."""

    def _fits(self, layer: Any) -> bool:
        return isinstance(layer, (Shapes, Labels))


def mask_of(layer: Any, image: ImageLayer) -> NDArray[np.bool_]:
    """Return the pixels of an image that a layer marks, shape (y, x).

    Shapes may be drawn anywhere; paths and lines mark what they enclose. Labels mark
    what is not zero, in any of their planes.

    Raises
    ------
    BadInputError
        If labels have another size than the image, or nothing is marked.
    """
    size = tuple(int(n) for n in data_of(image).shape[-2:])
    if isinstance(layer, Labels):
        labels = np.asarray(layer.data)
        if labels.shape[-2:] != size:
            raise BadInputError(
                f"{layer.name} has {' × '.join(map(str, labels.shape[-2:]))} pixels, "
                f"and {image.name} {' × '.join(map(str, size))}"
            )
        mask = (labels != 0).reshape(-1, *size).any(0)
    else:
        mask = np.zeros(size, bool)
        for corners in layer.data:
            mask |= polygon2mask(size, _pixels(layer, image, np.asarray(corners)))
    if not mask.any():
        raise BadInputError(f"{layer.name} marks nothing of {image.name}")
    return mask


def _pixels(
    layer: Any, image: ImageLayer, corners: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return corners (n, 2) of a shape in pixels of the image."""
    places = []
    for corner in corners:
        world = list(layer.data_to_world(corner))[-image.ndim :]
        world = [0.0] * (image.ndim - len(world)) + world
        places.append(np.asarray(image.world_to_data(world))[-2:])
    return np.array(places)
