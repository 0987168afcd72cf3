"""Choices of the user that the docks take up again in the next session."""

from contextlib import suppress
from pathlib import Path

from platformdirs import user_config_path
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QCheckBox, QComboBox, QSpinBox

from napari_cosdd.gui._models import PLUGIN


def choices_file() -> Path:
    """Return the file that holds the choices."""
    return user_config_path(PLUGIN) / "docks.ini"


def remember(key: str, widget: QComboBox | QSpinBox | QCheckBox) -> None:
    """Give a widget the user's last choice, and keep what the user chooses from now on.

    A choice that the widget does not offer any more is left out.

    Parameters
    ----------
    key : str
        Name of the choice, such as "train/how long".
    widget : QComboBox, QSpinBox or QCheckBox
        Shows the default.
    """
    kept = _settings().value(key)
    if isinstance(widget, QComboBox):
        if kept is not None and widget.findText(str(kept)) >= 0:
            widget.setCurrentText(str(kept))
        widget.textActivated.connect(lambda text: _keep(key, text))
    elif isinstance(widget, QSpinBox):
        # Nothing is kept, or the file was edited.
        with suppress(TypeError, ValueError, OverflowError):
            widget.setValue(int(kept))
        widget.valueChanged.connect(lambda value: _keep(key, str(value)))
    else:
        if kept in ("on", "off"):
            widget.setChecked(kept == "on")
        widget.clicked.connect(lambda on: _keep(key, "on" if on else "off"))


def _settings() -> QSettings:
    return QSettings(str(choices_file()), QSettings.Format.IniFormat)


def _keep(key: str, text: str) -> None:
    _settings().setValue(key, text)
