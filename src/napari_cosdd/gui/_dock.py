"""The frame of our docks: parts that scroll, and a footer that is always in sight."""

from itertools import pairwise
from typing import Any, ClassVar

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QFrame,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

#: Preferred width of a dock, pixels.
WIDTH = 340


class Scroll(QScrollArea):
    """Parts below each other; it scrolls only vertically.

    Attributes
    ----------
    rows : QVBoxLayout
        Layout of the parts.
    """

    def __init__(self) -> None:
        super().__init__()
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


class Dock(QWidget):
    """The content of a dock: parts that scroll above a footer that does not.

    Docks of this class that open in one area of the window become tabs of one place.

    Attributes
    ----------
    rows, footer : QVBoxLayout
        Layouts of the parts, and of what is always in sight: the buttons that start
        and end the work, and the next step.
    place : int
        Place among the tabs of our docks.
    """

    place: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.scroll = Scroll()
        self.rows = self.scroll.rows
        self.footer = QVBoxLayout()
        self.footer.setContentsMargins(8, 2, 8, 6)
        self.footer.setSpacing(6)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.scroll, 1)
        column.addLayout(self.footer)
        self._placed: Any = None
        #: Whether the dock is open, and no other tab lies before it.
        self.in_front = False

    @property
    def holder(self) -> QDockWidget | None:
        """The dock widget of the window that holds this, if any."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QDockWidget):
            above = above.parentWidget()
        return above

    def showEvent(self, event: Any) -> None:
        """Join the tabs of our other docks when the dock is opened."""
        super().showEvent(event)
        holder = self.holder
        if holder is not None and holder is not self._placed:
            self._placed = holder
            # Qt hides no tab that lies behind another one, but it tells of it.
            holder.visibilityChanged.connect(self._set_in_front)
            QTimer.singleShot(0, self._join_tabs)  # once napari has given it a place
        self._set_in_front(True)

    def hideEvent(self, event: Any) -> None:
        """Note that the dock is not in front."""
        super().hideEvent(event)
        self._set_in_front(False)

    def _set_in_front(self, on: bool) -> None:
        if on != self.in_front:
            self.in_front = on
            # Later, since napari's window may be closing, and lets no layer be touched.
            QTimer.singleShot(0, self._tell_front)

    def _tell_front(self) -> None:
        window = None if self.holder is None else self.holder.parentWidget()
        if window is None or window.isVisible():
            self.front_changed()

    def front_changed(self) -> None:
        """React to being in front or behind; `in_front` tells which."""

    def _join_tabs(self) -> None:
        """Become a tab beside our other docks, in front."""
        holder = self.holder
        if holder is None or holder.isFloating():
            return
        window = holder.parentWidget()
        if not isinstance(window, QMainWindow):
            return
        area = window.dockWidgetArea(holder)
        docks = [
            dock
            for dock in window.findChildren(Dock)
            if dock.holder is not None
            and not dock.holder.isFloating()
            and not dock.holder.isHidden()
            and window.dockWidgetArea(dock.holder) == area
        ]
        docks.sort(key=lambda dock: dock.place)
        for first, second in pairwise(docks):
            window.tabifyDockWidget(first.holder, second.holder)
        holder.raise_()

    def keyPressEvent(self, event: Any) -> None:
        """Press the button that has the focus with Enter; elsewhere Enter does nothing.

        A dock is no dialog: Enter after typing must not start a training.
        """
        focused = self.focusWidget()
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and isinstance(focused, QPushButton):
            focused.click()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:
        """Return the width that all docks share."""
        return QSize(WIDTH, 640)
