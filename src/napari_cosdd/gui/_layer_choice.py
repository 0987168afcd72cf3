"""A combo box of layers that follows the layer list of the viewer."""

from functools import partial
from typing import Any
from weakref import ref

from napari.layers import Image as ImageLayer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QSizePolicy

from napari_cosdd.gui._elided import ElidedChoice
from napari_cosdd.gui._layers import is_ours, key_of, layer_with
from napari_cosdd.gui._widgets import (
    button,
    forget,
    listen,
    when_deleted,
    without_wheel,
)


class LayerChoice(ElidedChoice):
    """A combo box of the image layers that can be denoised.

    It follows the active layer until the user chooses one. RGB pictures are left out.

    Parameters
    ----------
    viewer : Viewer
        Its layers are listed.
    none : str
        First entry, for no layer; then the active layer is not followed. "": there is
        no such entry.
    results : bool
        List the layers made by this plugin, too.
    """

    chosen = Signal()
    emptied = Signal()
    listed = Signal()

    def __init__(self, viewer: Any, *, none: str = "", results: bool = False) -> None:
        super().__init__()
        self._results = results
        self._viewer, self._none = viewer, none
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        without_wheel(self)
        self.setPlaceholderText("choose a layer")
        self._pinned = False
        #: Shown while the choice does not follow the active layer.
        self.pin = button("unpin", "Follow the selected layer again", self.unpin)
        self.pin.hide()
        layers = viewer.layers
        listen(self, layers.events.inserted, self._inserted)
        listen(self, layers.events.removed, self._removed)
        listen(self, layers.selection.events.active, self._follow)
        listen(self, layers.events.reordered, self._list)
        for layer in layers:
            layer.events.name.connect(self._list)
            layer.events.data.connect(self._pixels_changed)
        when_deleted(self, partial(forget, ref(self), partial(_emitters, layers)))
        self.activated.connect(self._pin)
        self.currentIndexChanged.connect(lambda _index: self.chosen.emit())
        self._list()
        self._follow()

    @property
    def layer(self) -> ImageLayer | None:
        """The chosen layer."""
        return layer_with(self._viewer.layers, self.currentData() or "")

    def why_empty(self) -> str:
        """Return why the list is empty, if only color pictures are open; else ""."""
        layers = [x for x in self._viewer.layers if not is_ours(x)]
        colored = [x.name for x in layers if getattr(x, "rgb", False)]
        if not colored or self.count():
            return ""
        return (
            f"{colored[0]} is a color (RGB) picture; grey levels are needed: "
            "right-click the layer → Split RGB, and choose one channel."
        )

    def why_none(self) -> str:
        """Return why no layer is chosen, without a full stop; "" if one is."""
        if self.layer is not None:
            return ""
        if self.count():
            return "Choose a layer under Image"
        return self.why_empty().removesuffix(".") or "Open an image first"

    def choose(self, layer: ImageLayer | None) -> None:
        """Choose a layer and stop following the active one; ignore an unlisted one."""
        index = -1 if layer is None else self.findData(key_of(layer))
        if index >= 0:
            self._set_pinned(True)
            self.setCurrentIndex(index)

    def unpin(self) -> None:
        """Follow the active layer again."""
        self._set_pinned(False)
        self._follow()

    def _fits(self, layer: Any) -> bool:
        if not isinstance(layer, ImageLayer) or layer.rgb or not 2 <= layer.ndim <= 6:
            return False
        return self._results or not is_ours(layer)

    def _entries(self) -> list[tuple[str, str]]:
        """Return the name and the key of each layer that can be chosen."""
        none = [(self._none, "")] if self._none else []
        fitting = filter(self._fits, self._viewer.layers)
        return [*none, *((layer.name, key_of(layer)) for layer in fitting)]

    def _inserted(self, event: Any) -> None:
        event.value.events.name.connect(self._list)
        event.value.events.data.connect(self._pixels_changed)
        self._list()

    def _removed(self, event: Any) -> None:
        event.value.events.name.disconnect(self._list)
        event.value.events.data.disconnect(self._pixels_changed)
        self._list()

    def _pixels_changed(self, event: Any) -> None:
        """Emit `chosen` again for new pixels: reports on the old ones do not hold."""
        if self.layer is not None and event.source is self.layer:
            self.chosen.emit()

    def _list(self, event: Any = None) -> None:
        before, entries = self.currentData(), self._entries()
        if not entries:
            self.emptied.emit()  # even if it was empty before: `why_empty` may differ
        if entries == [
            (self.itemText(i), self.itemData(i)) for i in range(self.count())
        ]:
            return
        self.blockSignals(True)
        self.clear()
        for name, key in entries:
            self.addItem(name, key)
        at = self.findData(before)
        if at < 0 and not self._pinned and entries:
            at = 0
        self.setCurrentIndex(at)  # -1 if a pinned layer was removed: none in its place
        self.blockSignals(False)
        self.listed.emit()
        if self.currentData() != before:
            self.chosen.emit()

    def _follow(self, event: Any = None) -> None:
        active = self._viewer.layers.selection.active
        if active is None or self._none or self._pinned or not self._fits(active):
            return
        self.setCurrentIndex(self.findData(key_of(active)))

    def _pin(self) -> None:
        self._set_pinned(True)

    def _set_pinned(self, on: bool) -> None:
        self._pinned = on
        self.pin.setVisible(on and not self._none)


def _emitters(layers: Any) -> list[Any]:
    """Return the events of all layers that a choice listens to."""
    return [e for layer in layers for e in (layer.events.name, layer.events.data)]
