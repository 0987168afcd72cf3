"""Forms made from the fields of a config: title, description, bounds, unit."""

from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args, get_origin

from magicgui.widgets import CheckBox, ComboBox, Container, LineEdit, SpinBox, Widget
from pydantic.fields import FieldInfo

from napari_cosdd.devices import available_devices
from napari_cosdd.gui._widgets import without_wheel
from napari_cosdd.gui._wording import in_dock_words
from napari_cosdd.settings.fields import Settings, bounds_of, empty_means, unit_of

#: Largest number of a spin box.
LARGEST = 2**31 - 1


class ConfigForm:
    """A form for some fields of a config; it returns only the values that differ.

    A whole number gets a spin box, and a choice a combo box. Real and optional numbers
    are typed as text, so that no value is rounded; the config checks them.

    Attributes
    ----------
    widget : magicgui Container
        The form, for a layout.
    """

    def __init__(self, config: Settings, leave_out: Collection[str] = ()) -> None:
        self._config = config
        self._widgets: dict[str, Widget] = {}
        for name, info in type(config).model_fields.items():
            if name not in leave_out:
                value = getattr(config, name)
                devices = ["auto", *available_devices()] if name == "device" else []
                self._widgets[name] = _widget(info, value, devices)
        self.widget = Container(widgets=list(self._widgets.values()), labels=True)
        self.widget.margins = (0, 0, 0, 0)

    def changes(self) -> dict[str, Any]:
        """Return the settings that were changed, as typed; the config checks them."""
        changed = {}
        for name, widget in self._widgets.items():
            before = getattr(self._config, name)
            value = widget.value
            if isinstance(widget, LineEdit):
                if value.strip() == _typed(before):
                    continue
                annotation = type(self._config).model_fields[name].annotation
                optional = type(None) in get_args(annotation)
                value = None if optional and not value.strip() else value.strip()
            if value != before:
                changed[name] = value
        return changed


def _widget(info: FieldInfo, value: Any, choices: Sequence[str] = ()) -> Widget:
    unit = f" ({unit_of(info)})" if unit_of(info) else ""
    words: dict[str, Any] = {
        "label": f"{info.title}{unit}",
        "tooltip": in_dock_words(f"{info.description}{unit}"),
    }
    annotation = info.annotation
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
    if choices:
        box = ComboBox(value=value, choices=list(choices), **words)
        without_wheel(box.native)
        return box
    if annotation is bool:
        return CheckBox(value=value, **words)
    if annotation is int:
        low, high = _bounds(info)
        box = SpinBox(value=value, min=low, max=high, **words)
        without_wheel(box.native)
        return box
    edit = LineEdit(value=_typed(value), **words)
    if type(None) in get_args(annotation):
        edit.native.setPlaceholderText(empty_means(info))
    return edit


def _bounds(info: FieldInfo) -> tuple[int, int]:
    """Return the bounds of a whole number, as a spin box takes them."""
    low, high = bounds_of(info)
    return int(low or 0), LARGEST if high is None else int(high)


def _typed(value: Any) -> str:
    """Return a value as a user would type it."""
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
