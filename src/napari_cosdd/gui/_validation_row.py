"""The layer that a training is judged by, instead of a part of its image."""

from typing import Any

from napari.layers import Image as ImageLayer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import axes_of, image_of
from napari_cosdd.gui._widgets import field
from napari_cosdd.images.image import Image

#: What validates if no image is chosen for it.
HELD_OUT = "a part of the image"


class ValidationRow(QWidget):
    """A row to choose the layer to validate on; hidden for methods with targets."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.choice = LayerChoice(viewer, none=HELD_OUT)
        self._serves = True
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        tip = (
            "Noisy image that the network is judged by while it learns; by default, a "
            "strip of the image is held out for that"
        )
        column.addWidget(field("Validate", self.choice, tip=tip))

    def show_for(self, target: str) -> None:
        """Show the row if the method learns from noisy images alone."""
        self._serves = target == "none"
        self.setVisible(self._serves)

    def image(self, trained_on: ImageLayer | None, axes: str) -> Image | None:
        """Return the chosen image, if there is one.

        Parameters
        ----------
        trained_on : Image layer or None
            The layer to learn from; None for a folder.
        axes : str
            Axes of the image to learn from, for one with as many.

        Raises
        ------
        BadInputError
            If it is the image to learn from.
        """
        layer = self.choice.layer
        if layer is None or not self._serves:
            return None
        if layer == trained_on:
            raise BadInputError(
                f"{layer.name} is the image to learn from: choose another one under "
                "Validate, or a part of the image"
            )
        fitting = axes if len(axes) == layer.ndim else axes_of(layer)
        return image_of(layer, fitting)
