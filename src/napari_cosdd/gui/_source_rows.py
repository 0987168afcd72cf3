"""The part of the Denoise dock that says what is denoised."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from napari.layers import Image as ImageLayer
from numpy.typing import NDArray
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.gui._channels import ChannelRow, n_channels
from napari_cosdd.gui._checks import Subject
from napari_cosdd.gui._fit import FitView
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import axes_for, image_of, key_of, pixels_key
from napari_cosdd.gui._models import ModelEntry
from napari_cosdd.gui._places import current_plane
from napari_cosdd.gui._region import RegionRow
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._widgets import field
from napari_cosdd.images.image import Image

NO_MODEL = "Train a model first, or open a model file."


class SourceRows(QWidget):
    """Rows for the image, its channels and a region, and whether a model is for it.

    Parameters
    ----------
    viewer : Viewer
        Its layers are offered.
    session : Session
        Says how a training read axes and channels of an image.
    entry : callable
        Returns the chosen model, or None.
    folder : QPushButton
        Stands beside the choice of the image.
    """

    def __init__(
        self,
        viewer: Any,
        session: Session,
        entry: Callable[[], ModelEntry | None],
        folder: QPushButton,
    ) -> None:
        super().__init__()
        self._viewer, self._session, self._entry = viewer, session, entry
        self._offered: ImageLayer | None = None
        self.image, self.fit, self.channels = (
            LayerChoice(viewer),
            FitView(),
            ChannelRow(),
        )
        tip = "Shapes or labels that mark what to denoise; the rest stays as it is"
        self.region = RegionRow(viewer, tip)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        parts = (self.image, self.image.pin, folder)
        column.addWidget(field("Image", *parts, tip="Noisy image to denoise"))
        for widget in (self.fit, self.channels, self.region):
            column.addWidget(widget)
        self.channels.changed.connect(self.fit.forget)

    @property
    def chosen(self) -> tuple[ImageLayer, ModelEntry] | None:
        """The chosen layer and model; None if one of them is missing."""
        layer, entry = self.image.layer, self._entry()
        return None if layer is None or entry is None else (layer, entry)

    def taken(self) -> Image:
        """Return the chosen image, or the channel of it that is taken."""
        return self.channels.taken(self._whole())

    def part(self, plane: bool) -> tuple[Image, list[int] | None]:
        """Return the image that is denoised, and the pixel of the layer it begins at.

        Parameters
        ----------
        plane : bool
            Whether only what the viewer shows is denoised.

        Raises
        ------
        BadInputError
            If a model or an image is missing, or the image does not serve.
        """
        self._offer_channels(*self._both())  # not shown yet if the dock opens just now
        whole = self._whole()
        image, offset = self.channels.taken(whole), self.channels.offset(whole)
        if not plane:
            return image, offset
        layer, entry = self._both()
        keep = "CZYX" if entry.load().spec.ndim == 3 else "CYX"
        shown = current_plane(layer, image.axes, self._viewer.dims.point, keep)
        start = [s.start or 0 for s in shown]
        if offset is not None:
            start = [a + b for a, b in zip(start, offset, strict=True)]
        return image.with_data(image.data[shown], image.name), start

    def mask(self) -> NDArray[Any] | None:
        """Return the marked pixels of the image, (y, x); None for all."""
        layer = self.image.layer
        return None if layer is None else self.region.mask(layer)

    def to_check(self, reference: ImageLayer | None) -> Subject | None:
        """Return the model and the layers of a model check."""
        if self.chosen is None:
            return None
        layer, entry = self.chosen
        axes = self._session.axes.get(key_of(layer), "")
        part = f"{axes} {self.channels.choice.currentText()}"
        return Subject(layer, entry, reference, part)

    def show_fit(self) -> None:
        """Say before the run whether the model is for the image."""
        if self.chosen is None:
            self.fit.hide()
            return
        layer, entry = self.chosen
        key = (pixels_key(layer), entry.name)
        if not self.fit.is_of(key):
            with suppress(CosddError):  # the fit says it
                self._offer_channels(layer, entry)
            self.fit.judge(key, entry, self.taken)

    def _both(self) -> tuple[ImageLayer, ModelEntry]:
        """Return the chosen layer and model; refuse if one is missing."""
        if self.chosen is None:
            why = f"{self.image.why_none()}." if self._entry() else NO_MODEL
            raise BadInputError(why)
        return self.chosen

    def _whole(self) -> Image:
        """Return the chosen image with axes as the chosen model needs them."""
        layer, entry = self._both()
        given = self._session.axes.get(key_of(layer), "")
        return image_of(layer, axes_for(layer, entry.load().spec, given))

    def _offer_channels(self, layer: ImageLayer, entry: ModelEntry) -> None:
        """Show what a model of one channel can do with several."""
        image = self._whole()
        n = n_channels(image.axes, image.data.shape)
        alone = entry.load().spec.n_channels == 1
        self.channels.blockSignals(True)
        self.channels.show_channels(n if alone else 1, together=False)
        wanted = self._session.channels.get(key_of(layer))
        if wanted is not None and self._offered is not layer:
            self.channels.choice.setCurrentText(wanted)
        self._offered = layer
        self.channels.blockSignals(False)
