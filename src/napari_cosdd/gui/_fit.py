"""Whether a model is for an image, in a light and a sentence, before it is used."""

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cosdd.errors import CosddError
from napari_cosdd.gui._light import Light
from napari_cosdd.gui._models import ModelEntry
from napari_cosdd.gui._widgets import Sentence
from napari_cosdd.gui._wording import in_dock_words
from napari_cosdd.images.image import Image
from napari_cosdd.models.compatibility import Grade, Match, match_of

#: What a grade means of a model for an image; a result has its own light.
WORDS: dict[Grade, str] = {
    "no objection": "The model is for such images",
    "use with care": "The model may not fit this image",
    "do not use": "The model is not for this image",
}


class FitView(QWidget):
    """Compares model and image whenever one of them is another one."""

    def __init__(self) -> None:
        super().__init__()
        self.light, self.reason = Light(), Sentence()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.light)
        column.addWidget(self.reason)
        self._judged: Any = None
        self.hide()

    def is_of(self, key: Any) -> bool:
        """Whether this is about the model and the pixels of a key already."""
        return bool(key == self._judged)

    def forget(self) -> None:
        """Compare again at the next opportunity."""
        self._judged = None

    def judge(self, key: Any, entry: ModelEntry, image: Callable[[], Image]) -> None:
        """Compare a model with an image; the key names both."""
        self._judged = key
        try:
            found = match_of(entry.load(), image())
        except CosddError as error:
            found = Match("do not use", str(error))
        self.light.show_grade(found.grade, WORDS[found.grade])
        self.reason.setText(in_dock_words(found.reason))
        self.show()
