"""Small pieces that the docks are made of."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakMethod

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_cosdd.gui._jobs import JobError
from napari_cosdd.gui._layers import KEY, key_of, layer_with

#: Preferred width of a dock, pixels.
WIDTH = 340


class Dock(QScrollArea):
    """A dock's content: scrolls when it must, and never sideways.

    Attributes
    ----------
    rows : QVBoxLayout
        Where its parts go.
    main : QPushButton or None
        Pressed by Enter, unless another button has the focus.
    """

    def __init__(self) -> None:
        super().__init__()
        self.main: QPushButton | None = None
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner = QWidget()
        self.rows = QVBoxLayout(inner)
        self.rows.setContentsMargins(8, 6, 8, 6)
        self.rows.setSpacing(6)
        self.setWidget(inner)

    def showEvent(self, event: Any) -> None:
        """Be at least as wide as the content, so that nothing is cut off."""
        super().showEvent(event)
        inner, bar = self.widget(), self.verticalScrollBar()
        self.setMinimumWidth(inner.minimumSizeHint().width() + bar.sizeHint().width())

    def keyPressEvent(self, event: Any) -> None:
        """Press the button that has the focus with Enter, else the main one."""
        focused = self.focusWidget()
        pressed = focused if isinstance(focused, QPushButton) else self.main
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and pressed:
            pressed.click()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        """Return the width that all docks share."""
        return QSize(WIDTH, 640)


def choice(*entries: str) -> QComboBox:
    """Return a combo box that takes the width there is, however long its entries."""
    made = QComboBox()
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.addItems(list(entries))
    return made


def row(*widgets: QWidget, stretch: int | None = None) -> QWidget:
    """Return widgets side by side; `stretch` is the one that takes the room."""
    holder = QWidget()
    line = QHBoxLayout(holder)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(6)
    for i, widget in enumerate(widgets):
        line.addWidget(widget, 1 if i == stretch else 0)
    if stretch is None:
        line.addStretch(1)
    return holder


def field(label: str, *widgets: QWidget, tip: str = "") -> QWidget:
    """Return a labelled line; labels share their width."""
    text = QLabel(label)
    text.setFixedWidth(62)
    text.setToolTip(tip)
    for widget in widgets:
        widget.setToolTip(widget.toolTip() or tip)
    return row(text, *widgets, stretch=1)


def button(text: str, tip: str, slot: Callable[[], Any]) -> QPushButton:
    """Return a push button."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.clicked.connect(lambda _checked=False: slot())
    return made


def folded(title: str) -> QCollapsible:
    """Return a part that opens when its title is clicked."""
    return QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")


def enable(widget: QWidget, on: bool, why_not: str = "") -> None:
    """Enable a widget; a disabled one says why in its tooltip."""
    if widget.property("tip") is None:
        widget.setProperty("tip", widget.toolTip())
    widget.setEnabled(on)
    widget.setToolTip(widget.property("tip") if on else why_not)


def listen(widget: QWidget, emitter: Any, slot: Callable[..., None]) -> None:
    """Connect an event of napari's to a method of a widget, as long as that lives.

    Qt takes a widget away while Python may still have it, and napari would call it.
    """
    emitter.connect(slot)
    method = WeakMethod(slot)

    def release() -> None:
        if (slot := method()) is not None:
            emitter.disconnect(slot)

    widget.destroyed.connect(release)


class Sentence(QLabel):
    """Text that wraps, can be selected, and takes no more room than it needs."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)


class Heading(QLabel):
    """The title of a part of a dock."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setStyleSheet("font-weight: bold; padding-top: 4px;")


class Problem(QWidget):
    """What went wrong, in words; "Copy details" has the rest. Hidden without one."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.text = Sentence()
        self.copy = button(
            "Copy details", "Copy the technical details for a bug report", self._copy
        )
        column.addWidget(self.text)
        column.addWidget(row(self.copy))
        self._details = ""
        self.hide()

    def show_error(self, error: Exception | None) -> None:
        """Show an error; None hides it."""
        self.setVisible(error is not None)
        if error is None:
            return
        self.text.setText(f"⚠ {error}")
        self._details = error.details if isinstance(error, JobError) else str(error)

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._details)


class LayerChoice(QComboBox):
    """The image layers of the viewer that can be denoised; follows the active one.

    RGB pictures are left out, and so is what this plugin made.
    """

    chosen = Signal()
    emptied = Signal()

    def __init__(self, viewer: Any, *, none: str = "") -> None:
        super().__init__()
        self._viewer, self._none = viewer, none
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._pinned = False
        layers = viewer.layers
        listen(self, layers.events.inserted, self._inserted)
        listen(self, layers.events.removed, self._removed)
        listen(self, layers.selection.events.active, self._follow)
        listen(self, layers.events.reordered, self._list)
        for layer in layers:
            layer.events.name.connect(self._list)
            layer.events.data.connect(self._pixels_changed)
        slots = WeakMethod(self._list), WeakMethod(self._pixels_changed)
        self.destroyed.connect(partial(_forget, layers, *slots))
        self.activated.connect(self._pin)
        self.currentIndexChanged.connect(lambda _index: self.chosen.emit())
        self._list()
        self._follow()

    @property
    def layer(self) -> ImageLayer | None:
        """The chosen layer."""
        return layer_with(self._viewer.layers, self.currentData() or "")

    def why_empty(self) -> str:
        """Say why there is nothing to choose, if color pictures are open."""
        colored = [x.name for x in self._viewer.layers if getattr(x, "rgb", False)]
        if not colored or self.count():
            return ""
        return (
            f"{colored[0]} is a color (RGB) picture; grey levels are needed: "
            "right-click the layer → Split RGB, and choose one channel."
        )

    def choose(self, layer: ImageLayer | None) -> None:
        """Choose a layer and stay with it; one that is not offered changes nothing."""
        index = -1 if layer is None else self.findData(key_of(layer))
        if index >= 0:
            self._pinned = True
            self.setCurrentIndex(index)

    def _fits(self, layer: Any) -> bool:
        if not isinstance(layer, ImageLayer) or layer.rgb or layer.ndim < 2:
            return False
        return KEY not in layer.metadata

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
        """Tell who listens: what is known of a layer is not known of new pixels."""
        if self.layer is not None and event.source is self.layer:
            self.chosen.emit()

    def _list(self, event: Any = None) -> None:
        before, entries = self.currentData(), self._entries()
        if not entries:
            self.emptied.emit()  # what is open may have changed all the same
        if entries == [
            (self.itemText(i), self.itemData(i)) for i in range(self.count())
        ]:
            return
        self.blockSignals(True)
        self.clear()
        for name, key in entries:
            self.addItem(name, key)
        self.setCurrentIndex(max(self.findData(before), 0 if entries else -1))
        self.blockSignals(False)
        if self.currentData() != before:
            self.chosen.emit()

    def _follow(self, event: Any = None) -> None:
        active = self._viewer.layers.selection.active
        if active is None or self._none or self._pinned or not self._fits(active):
            return
        self.setCurrentIndex(self.findData(key_of(active)))

    def _pin(self) -> None:
        self._pinned = True


def _forget(
    layers: Any, named: WeakMethod[Any], pixels: WeakMethod[Any], *_: Any
) -> None:
    """Let no layer call a widget that is gone."""
    for layer in layers:
        for emitter, method in (
            (layer.events.name, named),
            (layer.events.data, pixels),
        ):
            if (slot := method()) is not None:
                emitter.disconnect(slot)


def fill(choice: QComboBox, entries: Sequence[str]) -> None:
    """Offer other entries; the present choice stays where it is still offered."""
    before = choice.currentText()
    choice.blockSignals(True)
    choice.clear()
    choice.addItems(list(entries))
    if before in entries:
        choice.setCurrentText(before)
    choice.blockSignals(False)
