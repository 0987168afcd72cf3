"""A combo box whose closed text loses its middle, not its end, if it is long."""

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter


class ElidedChoice(QComboBox):
    """A combo box for names, which often differ at their end only."""

    def paintEvent(self, event: Any) -> None:
        """Paint the box with as much of the name as there is room for."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideMiddle, room.width() - MARGIN
        )
        if not option.currentText and self.currentIndex() < 0:
            option.currentText = self.placeholderText()
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


#: Room beside the text, pixels.
MARGIN = 4
