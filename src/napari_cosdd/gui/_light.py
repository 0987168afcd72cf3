"""A grade as a coloured sign with words."""

from html import escape
from typing import Any

from qtpy.QtCore import QEvent, Qt

from napari_cosdd.gui._widgets import Heading
from napari_cosdd.models.compatibility import Grade

#: Sign of each grade, and its colour on dark and on light ground. The former are Okabe
#: and Ito's, as in the plots, the latter darker ones (contrast 4.5 at least).
LIGHTS: dict[Grade, tuple[str, str, str]] = {
    "no objection": ("✓", "#009e73", "#006b4e"),
    "use with care": ("!", "#e69f00", "#875400"),
    "do not use": ("✕", "#d55e00", "#a84300"),
}


class Light(Heading):
    """A coloured sign beside a grade in words; hidden if there is none."""

    def __init__(self) -> None:
        super().__init__("")
        self.setTextFormat(Qt.TextFormat.RichText)
        self._grade: Grade | None = None
        self._words = ""
        self.hide()

    def show_grade(self, grade: Grade | None, words: str = "") -> None:
        """Show a grade, or other words for it; None hides the light."""
        self._grade, self._words = grade, words
        self.setVisible(grade is not None)
        self._paint()

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._paint()

    def _paint(self) -> None:
        if self._grade is None:
            return
        sign, on_dark, on_light = LIGHTS[self._grade]
        text_color = self.palette().color(self.foregroundRole())
        color = on_dark if text_color.lightness() > 127 else on_light
        text = escape(self._words or self._grade.capitalize())
        self.setText(f"<span style='color:{color}'>{sign} {text}</span>")
