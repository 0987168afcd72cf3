"""What is done with the channels of an image: together, one by one, or one alone."""

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cosdd.gui._widgets import choice, field, fill
from napari_cosdd.images.image import Image
from napari_cosdd.images.selection import EACH, Channel, channel_of

#: One model that sees all channels at once.
TOGETHER = "all together"
#: One model that sees one channel at a time.
ONE_BY_ONE = "one by one (fast)"
CHANNEL = "channel {} alone"


class ChannelRow(QWidget):
    """A row that says how channels are taken; hidden if there is one channel only.

    Signals: `changed` when something else is chosen.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.choice = choice(TOGETHER)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        tip = (
            "All together: one model of all channels, which learns from random "
            "weights. One by one: each channel as an image of its own, from the "
            "pretrained weights, which is much faster"
        )
        column.addWidget(field("Channels", self.choice, tip=tip))
        self.choice.currentTextChanged.connect(lambda _text: self.changed.emit())
        self.show_channels(1)

    def show_channels(self, n: int, together: bool = True) -> None:
        """Offer what can be done with `n` channels.

        Parameters
        ----------
        n : int
            Number of channels.
        together : bool
            Whether they can be taken together, as a model of one channel cannot.
        """
        last = [TOGETHER] if together else []
        alone = [CHANNEL.format(k + 1) for k in range(n)]
        entries = [ONE_BY_ONE, *last, *alone] if n > 1 else [TOGETHER]
        if entries != [self.choice.itemText(i) for i in range(self.choice.count())]:
            was_one = self.choice.count() <= 1
            fill(self.choice, entries)
            if was_one:  # the image before had one channel: nothing was chosen
                self.choice.setCurrentIndex(0)
        self.setVisible(n > 1)

    @property
    def number(self) -> int | None:
        """The channel that is taken alone, from 0; None: all."""
        names = [CHANNEL.format(k + 1) for k in range(self.choice.count())]
        text = self.choice.currentText()
        return names.index(text) if text in names else None

    @property
    def chosen(self) -> Channel | None:
        """The channels as `channel_of` takes them."""
        return EACH if self.choice.currentText() == ONE_BY_ONE else self.number

    def taken(self, image: Image) -> Image:
        """Return the image with its channels as chosen."""
        return channel_of(image, self.chosen)

    def offset(self, image: Image) -> list[int] | None:
        """Return the pixel of the image where the channel that is taken begins."""
        if self.number is None or "C" not in image.axes:
            return None
        return [self.number if letter == "C" else 0 for letter in image.axes]


def n_channels(axes: str, shape: Any) -> int:
    """Return the number of channels of an array; 1 if the letters do not fit it."""
    at = axes.upper().find("C")
    return int(shape[at]) if at >= 0 and len(axes) == len(shape) else 1
