"""The list of methods and presets, which says in the open list what each is for."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QComboBox, QStyledItemDelegate, QStyleOptionViewItem

from napari_cosdd.gui._widgets import choice

#: Role of an entry's purpose.
PURPOSE = Qt.ItemDataRole.UserRole


class _Entries(QStyledItemDelegate):
    """Draws an entry and its purpose."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Add the purpose to the text of an entry."""
        super().initStyleOption(option, index)
        option.text = f"{option.text}: {index.data(PURPOSE)}"


def preset_list(purposes: Mapping[str, str]) -> QComboBox:
    """Return a list of entries; open, it says after each what it is for.

    Parameters
    ----------
    purposes : mapping
        In a few words, by the text of the entry.
    """
    made: Any = choice(*purposes)
    for i, purpose in enumerate(purposes.values()):
        made.setItemData(i, purpose, PURPOSE)
    made.setItemDelegate(_Entries(made))
    view = made.view()
    view.setMinimumWidth(view.sizeHintForColumn(0) + 3 * view.sizeHintForRow(0))
    view.setTextElideMode(Qt.TextElideMode.ElideNone)
    return made
