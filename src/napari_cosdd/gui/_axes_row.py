"""The letters of an image: marked where they are a guess, with others a click away."""

from functools import partial
from pathlib import Path

from napari.layers import Image as ImageLayer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QMenu, QToolButton, QVBoxLayout, QWidget

from napari_cosdd.gui._layers import axes_of, data_of, key_of, named_axes
from napari_cosdd.gui._widgets import Sentence, field
from napari_cosdd.images.axes import other_axes

#: Axes in words, for the menu of other axes.
NAMES = {"S": "series", "T": "time", "C": "channels", "Z": "z"}


class AxesRow(QWidget):
    """A row with the letters of the axes, and the shape of the image.

    Signals: `changed` with each letter, `edited` when the user has given others.
    """

    changed = Signal()
    edited = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layer: ImageLayer | None = None
        self._given: dict[str, str] = {}  # letters of the user, by the key of a layer
        self.letters = QLineEdit()
        self.letters.setMaximumWidth(70)
        self.shape, self.guess = Sentence(), QToolButton()
        self.guess.setText("a guess ▾")
        self.guess.setToolTip("The image does not name its axes: choose others")
        self.guess.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.guess.setMenu(QMenu(self.guess))
        self.guess.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        tip = "A letter for each axis: S samples, T time, C channels, Z, Y, X"
        parts = (self.letters, self.shape, self.guess)
        column.addWidget(field("Axes", *parts, tip=tip))
        self.letters.textChanged.connect(lambda _text: self._letters_changed())
        self.letters.textEdited.connect(lambda _text: self._remember())
        self.letters.editingFinished.connect(self.edited)
        self.guess.hide()

    def text(self) -> str:
        """Return the letters in capitals; "" leaves them to the files of a folder."""
        return self.letters.text().strip().upper()

    def take(self, axes: str) -> None:
        """Take other letters, as if the user had typed them."""
        self.letters.setText(axes)
        self._remember()
        self.edited.emit()

    def _remember(self) -> None:
        if self._layer is not None:
            self._given[key_of(self._layer)] = self.text()

    def show_layer(self, layer: ImageLayer | None, why_none: str = "") -> None:
        """Show the axes of a layer, or why there is none."""
        self._layer = layer
        key = "" if layer is None else key_of(layer)
        if layer is None:
            self.letters.setText("")
            self.shape.setText(why_none)
        else:
            self.letters.setText(self._given.get(key) or axes_of(layer))
            self.shape.setText(" × ".join(map(str, data_of(layer).shape)))
        self._letters_changed()

    def show_folder(self, folder: Path) -> None:
        """Show that the files of a folder say their axes."""
        self._layer = None
        self.letters.setText("")
        self.letters.setPlaceholderText("files")
        self.shape.setText(f"images in {folder.name}")
        self._letters_changed()

    def _letters_changed(self) -> None:
        """Offer other letters where these are a guess."""
        layer, axes = self._layer, self.text()
        guessed = layer is not None and not named_axes(layer) and axes == axes_of(layer)
        menu = self.guess.menu()
        menu.clear()
        for other in other_axes(axes) if guessed else ():
            menu.addAction(in_words(other), partial(self.take, other))
        self.guess.setVisible(bool(menu.actions()))
        self.changed.emit()


def in_words(axes: str) -> str:
    """Return axes with what they mean: "ZCYX: z, channels"."""
    return f"{axes}: {', '.join(NAMES[a] for a in axes if a in NAMES)}"
