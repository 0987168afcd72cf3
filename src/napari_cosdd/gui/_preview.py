"""The preview of a training: the noisy crop beside the images of the method."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_cosdd.events import Preview
from napari_cosdd.gui._layers import add_part, data_of, part_name, parts_of
from napari_cosdd.gui._places import place

PART = "training preview"
#: Pixels between the panels.
GAP = 2
#: Share of the image's height that a strip takes.
SHARE = 0.3
#: Largest height of the picture in the dock, pixels.
PICTURE = 160
#: Largest ratio of the sides of a crop in the picture.
LONGEST = 1.5


def strip(
    preview: Preview, most: int | None = None, longest: float = math.inf
) -> NDArray[np.float32]:
    """Return the noisy crop and the method's images (`most` of them) side by side.

    The strip shows the first of several channels, and the middle plane of a stack, of
    crops longer than `longest` times their width the middle.
    """
    images = list(preview.images.values())[:most]
    planes = [_middle(_plane(p), longest) for p in (preview.noisy, *images)]
    gap = np.full((planes[0].shape[0], GAP), np.nan, np.float32)
    parts = [planes[0]]
    for plane in planes[1:]:
        parts += [gap, plane]
    return np.concatenate(parts, 1)


def _middle(plane: NDArray[np.float32], longest: float) -> NDArray[np.float32]:
    most = longest * min(plane.shape)
    cut = [int(max(0, n - most) / 2) for n in plane.shape]
    return plane[tuple(slice(c, n - c) for c, n in zip(cut, plane.shape, strict=True))]


def _plane(image: NDArray[np.float32]) -> NDArray[np.float32]:
    first = image[0]
    while first.ndim > 2:
        first = first[len(first) // 2]
    return first if first.ndim == 2 else first[None]


def show_preview(viewer: Any, layer: ImageLayer, preview: Preview) -> None:
    """Show the strip in a layer over the top of the image; create or update it."""
    shown = strip(preview)
    existing = parts_of(viewer.layers, layer).get(PART)
    if existing is not None and existing.data.shape == shown.shape:
        existing.data = shown
        return
    if existing is not None:
        viewer.layers.remove(existing)
    # Within the image: napari's Home button shows all layers, hidden ones as well.
    zoom = max(1.0, SHARE * data_of(layer).shape[-2] / shown.shape[0])
    sides = zip(data_of(layer).shape[-2:], shown.shape, strict=True)
    zoom = min(zoom, *(whole / part for whole, part in sides))
    active = viewer.layers.selection.active
    add_part(
        viewer,
        layer,
        PART,
        shown,
        name=part_name(layer.name, PART),
        visible=False,  # the dock shows it; the layer is for a closer look
        colormap=layer.colormap,
        contrast_limits=layer.contrast_limits,
        **place(layer, ndim=2, zoom=zoom),
    )
    viewer.layers.selection.active = active


class PreviewPicture(QLabel):
    """The noisy crop and the estimate as a picture as wide as the dock."""

    def __init__(self) -> None:
        super().__init__()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(PICTURE)
        self.setToolTip("A held-out crop, which the training does not learn from")
        self._pixmap: QPixmap | None = None

    def show_preview(
        self, preview: Preview, limits: Sequence[float] | None = None
    ) -> None:
        """Draw the strip; narrow crops are shortened to be seen.

        Parameters
        ----------
        preview : Preview
            Of the training.
        limits : (float, float), optional
            Grey levels that are black and white in the viewer; narrower ones are those
            of the estimate.
        """
        image = strip(preview, 1, LONGEST)
        shown = next(iter(preview.images.values()), preview.noisy)
        low, high = np.nanquantile(_plane(shown), [0.005, 0.998])
        if limits is not None:
            low, high = max(low, limits[0]), min(high, limits[1])
        scaled = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
        grey = np.ascontiguousarray(np.nan_to_num(scaled * 255, nan=128), np.uint8)
        height, width = grey.shape
        made = QImage(
            grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8
        )
        self._pixmap = QPixmap.fromImage(made)
        self._draw()

    def resizeEvent(self, event: Any) -> None:
        """Keep the picture as wide as the dock."""
        super().resizeEvent(event)
        self._draw()

    def _draw(self) -> None:
        if self._pixmap is not None:
            made = self._pixmap.scaled(
                self.width(),
                PICTURE,
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.FastTransformation,
            )
            self.setFixedHeight(made.height())
            self.setPixmap(made)
