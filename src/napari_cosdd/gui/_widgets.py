"""Widgets and helpers that all docks use."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, ref

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_cosdd.gui._elided import ElidedChoice
from napari_cosdd.gui._jobs import JobError
from napari_cosdd.gui._wording import in_dock_words

#: Qt's largest height of a widget.
QWIDGETSIZE_MAX = (1 << 24) - 1


def choice(*entries: str) -> QComboBox:
    """Return a combo box that fills the width, however long its entries are."""
    made = ElidedChoice()
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.addItems(list(entries))
    return without_wheel(made)


class _Wheel(QObject):
    """Lets the wheel scroll the dock over a widget that does not have the focus."""

    def eventFilter(self, watched: Any, event: Any) -> bool:
        if event.type() != QEvent.Type.Wheel or watched.hasFocus():
            return False
        event.ignore()  # the parent gets it
        return True


def without_wheel(widget: Any) -> Any:
    """Return a box whose value the wheel changes only after a click into it."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_Wheel(widget))
    return widget


def row(*widgets: QWidget, stretch: int | None = None) -> QWidget:
    """Return widgets side by side; number `stretch` takes the width that is left."""
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
    """Return widgets in a row after a label; all labels have the same width."""
    text = QLabel(label)
    text.setMinimumWidth(68)  # more for large fonts
    text.setToolTip(tip)
    for widget in widgets:
        widget.setToolTip(widget.toolTip() or tip)
    return row(text, *widgets, stretch=1)


def button(
    text: str,
    tip: str,
    slot: Callable[[], Any] | None = None,
    *,
    checkable: bool = False,
) -> QPushButton:
    """Return a push button."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    if slot is not None:
        made.clicked.connect(lambda _checked=False: slot())
    return made


class Folded(QCollapsible):
    """A part that opens when its title is clicked; it is as high as its content.

    What is folded is hidden, so that the Tab key does not stop there.
    """

    def __init__(self, title: str) -> None:
        pixmap = QPixmap(1, 1)
        pixmap.fill(Qt.GlobalColor.transparent)
        nothing = QIcon(pixmap)  # the title has a sign; PySide takes QIcon() for False
        super().__init__(f"▸ {title}", expandedIcon=nothing, collapsedIcon=nothing)
        self._title = title
        self.toggleButton().setStyleSheet(
            "text-align: left; border: none; background: transparent; padding: 3px 0;"
        )
        self.content().hide()

    def addWidget(self, widget: QWidget) -> None:
        """Add a widget below the others."""
        self.content().layout().addWidget(widget)

    def expand(self, animate: bool = False) -> None:
        """Show the content, at once and as high as it is, now and later."""
        super().expand(animate=False)
        self.setText(f"▾ {self._title}")
        self.content().setMaximumHeight(QWIDGETSIZE_MAX)
        self.content().show()

    def collapse(self, animate: bool = False) -> None:
        """Hide the content."""
        super().collapse(animate=False)
        self.setText(f"▸ {self._title}")
        self.content().hide()


def enable(widget: QWidget, on: bool, why_not: str = "") -> None:
    """Enable a widget; a disabled one says why in its tooltip."""
    if widget.property("tip") is None:
        widget.setProperty("tip", widget.toolTip())
    widget.setEnabled(on)
    widget.setToolTip(widget.property("tip") if on else why_not)


def listen(widget: QObject, emitter: Any, slot: Callable[..., None]) -> None:
    """Connect a napari event to a method of a Qt object until that is deleted.

    Qt may delete a widget while its Python object lives on. Without the disconnection
    napari would still call the method.
    """
    emitter.connect(slot)
    when_deleted(widget, partial(forget, ref(widget), lambda: [emitter]))


def forget(widget: ref[QObject], emitters: Callable[[], Iterable[Any]]) -> None:
    """Disconnect napari events from the methods of a deleted Qt object.

    They are found by the object itself: to find a method, napari before 0.9
    compares its object with others, which Qt refuses for a deleted one.
    """
    if (deleted := widget()) is not None:
        for emitter in emitters():
            emitter.disconnect(deleted)


#: Functions that Qt calls when it deletes an object, by that object.
_AWAITED: WeakKeyDictionary[QObject, list[Callable[..., None]]] = WeakKeyDictionary()


def when_deleted(widget: QObject, call: Callable[[], None]) -> None:
    """Call a function when Qt deletes an object that Python still has.

    The function is kept as long as Python has the object, which it must not hold. If
    only Qt held it, a garbage collection that finds the object in another thread would
    take the function apart, and Qt, which deletes the object later in its own thread,
    would call what is left: the program ends.
    """

    def deleted(*_: Any) -> None:
        call()

    _AWAITED.setdefault(widget, []).append(deleted)
    widget.destroyed.connect(deleted)


def uncheck(widget: QPushButton) -> None:
    """Show that something is off which something else takes the place of."""
    widget.blockSignals(True)
    widget.setChecked(False)
    widget.blockSignals(False)


class Sentence(QLabel):
    """Text that wraps, can be selected, and takes no room if it is empty."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)

    def sizeHint(self) -> QSize:
        """Return the size of the text."""
        return super().sizeHint() if self.text() else QSize(0, 0)

    def minimumSizeHint(self) -> QSize:
        """Return the least size of the text."""
        return super().minimumSizeHint() if self.text() else QSize(0, 0)

    def heightForWidth(self, width: int) -> int:
        """Return the height of the wrapped text."""
        return super().heightForWidth(width) if self.text() else 0


class Heading(QLabel):
    """The title of a part of a dock."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setStyleSheet("font-weight: bold; padding-top: 4px;")


class Problem(QWidget):
    """An error message with a button "Copy details"; hidden if there is no error."""

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
        self.text.setText(f"⚠ {in_dock_words(str(error))}")
        self._details = error.details if isinstance(error, JobError) else str(error)

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._details)


def shortened(name: str, most: int = 24) -> str:
    """Return a name that fits on a button, without its middle if it is long."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def fill(choice: QComboBox, entries: Sequence[str]) -> None:
    """Replace the entries; keep the present choice if it is among the new ones."""
    before = choice.currentText()
    choice.blockSignals(True)
    choice.clear()
    choice.addItems(list(entries))
    if before in entries:
        choice.setCurrentText(before)
    choice.blockSignals(False)


def named(path: Path, suffix: str) -> Path:
    """Return a path with its suffix; where that is added, choose a free name.

    The file dialog asks before replacing a file only about the name as typed.
    """
    if path.suffix.lower() == suffix:
        return path
    free, n = path.with_name(path.name + suffix), 2
    while free.exists():
        free, n = path.with_name(f"{path.name} {n}{suffix}"), n + 1
    return free
