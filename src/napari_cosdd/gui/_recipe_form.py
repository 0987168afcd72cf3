"""The part of the Train dock that says what to train: preset, noise, settings."""

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_cosdd import api
from napari_cosdd.gui._dock import Scroll
from napari_cosdd.gui._forms import ConfigForm
from napari_cosdd.gui._preset_list import preset_list
from napari_cosdd.gui._remembered import remember
from napari_cosdd.gui._widgets import (
    Folded,
    Heading,
    Sentence,
    button,
    choice,
    enable,
    field,
    fill,
)
from napari_cosdd.gui._wording import in_dock_words
from napari_cosdd.images.filling import Fill
from napari_cosdd.methods.registry import DEFAULT, all_methods, get_method
from napari_cosdd.methods.values import Needs
from napari_cosdd.models.shipped import usual_preset
from napari_cosdd.noise_analysis.facts import NoiseFacts

AUTOMATIC = "automatic"
AXES = {
    "along rows (x)": "x",
    "along columns (y)": "y",
    "along z": "z",
    "independent pixels": "none",
}
#: What "automatic" stands for, by the pattern of the noise.
FOUND = {
    "one axis": "found along {}",
    "independent": "independent",
    "both axes": "both axes: none",
    "unclear": "not known: none",
}
#: Pixels to fill, in words.
FILLED: dict[str, Fill] = {
    "nothing": "nothing",
    "missing pixels (NaN)": "missing",
    "missing and hot pixels": "outliers",
}
#: Length of the training, in words: what it changes of the settings.
AS_NEEDED = "until it is done"
HOW_LONG: dict[str, dict[str, float]] = {
    AS_NEEDED: {},
    "2 minutes": {"time_limit": 2},
    "10 minutes": {"time_limit": 10},
    "1 hour": {"time_limit": 60},
}
#: Settings of the training that the form shows first.
LENGTH = {"max_steps", "time_limit"}
#: Settings of methods that have rows of their own.
ELSEWHERE = {"noise_axis", "psf"}


def presets() -> dict[str, tuple[str, str]]:
    """Return method and preset by displayed name."""
    return {
        shown(name, preset): (name, preset)
        for name, method in all_methods()
        for preset in method.presets
    }


def shown(method: str, preset: str) -> str:
    """Return the displayed name of a preset."""
    return f"{get_method(method).title} · {preset}"


class RecipeForm(QWidget):
    """Preset, noise axis and, in a folded part, all settings of method and training.

    Signals: `changed` when another preset or axis is chosen.

    Parameters
    ----------
    data_rows : sequence of QWidget
        Rows of the dock to show among the settings of the data.
    """

    changed = Signal()

    def __init__(self, data_rows: Sequence[QWidget] = ()) -> None:
        super().__init__()
        self.presets = presets()
        self.preset = preset_list(
            {
                text: get_method(method).presets[preset].purpose
                for text, (method, preset) in self.presets.items()
            }
        )
        self.preset.setCurrentText(shown(DEFAULT, usual_preset(DEFAULT)))
        self.noise = choice(AUTOMATIC, *AXES)
        self.long = choice(*HOW_LONG)
        self.volume = QCheckBox("3-D: learn from whole z-stacks")
        self.filled = choice(*FILLED)
        self.advanced, self.settings = Folded("Advanced"), Scroll()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        tip = "Method and size of its networks"
        self.preset_row = field("Model", self.preset, tip=tip)
        column.addWidget(self.preset_row)
        self.doubt = Sentence()
        self.doubt.hide()
        column.addWidget(self.doubt)
        tip = "Axis along which the noise is correlated"
        self.noise_row = field("Noise", self.noise, tip=tip)
        column.addWidget(self.noise_row)
        tip = (
            "Until it is done: as many steps as this preset takes, fewer if it no "
            "longer improves. The best model on held-out crops is kept"
        )
        column.addWidget(field("How long", self.long, tip=tip))
        column.addWidget(self.advanced)
        self.settings.setFixedHeight(280)
        self.advanced.addWidget(self.settings)
        tip = (
            "Pixels that are replaced from their neighbours before training and "
            "denoising. Hot pixels: single ones far from all around them"
        )
        self.data_rows = [
            self.volume,
            field("Fill", self.filled, tip=tip),
            *data_rows,
        ]
        remember("train/model", self.preset)
        remember("train/how long", self.long)
        remember("train/fill", self.filled)
        self._make_forms()
        self.preset.currentTextChanged.connect(lambda _text: self._make_forms())
        self.volume.toggled.connect(lambda _on: self.changed.emit())
        self.long.currentTextChanged.connect(lambda _text: self._show_length())
        for box in (self.preset, self.noise, self.long):
            box.currentTextChanged.connect(lambda _text: self.changed.emit())

    @property
    def filling(self) -> Fill:
        """Which pixels to fill."""
        return FILLED[self.filled.currentText()]

    def recipe(self, found: api.NoiseReport | None) -> "api.Recipe[Any]":
        """Return the validated recipe of the form.

        Parameters
        ----------
        found : NoiseReport or None
            Determines automatic settings, such as the noise axis; None: the training
            measures the noise.

        Raises
        ------
        BadInputError
            If a setting is out of bounds.
        """
        recipe = api.Recipe.preset(*self._chosen)
        axis = AXES.get(self.noise.currentText())
        if self.needs.noise_axis and axis is not None:
            recipe = recipe.changed({"noise_axis": axis})
        elif found is not None:
            resolved = recipe.settings.resolved(found.facts)
            recipe = recipe.model_copy(update={"settings": resolved})
        training = dict(HOW_LONG[self.long.currentText()])
        training |= self.training_form.changes() | self.length_form.changes()
        return recipe.changed(self.method_form.changes(), training)

    @property
    def _chosen(self) -> tuple[str, str]:
        """Method and preset."""
        return self.presets[self.preset.currentText()]

    @property
    def needs(self) -> Needs:
        """What the chosen method needs beside noisy images."""
        return get_method(self._chosen[0]).needs

    @property
    def preset_name(self) -> str:
        """The preset's own name, such as "quick"."""
        return self._chosen[1]

    @property
    def ndim(self) -> int:
        """Spatial axes to train with."""
        return 3 if self.volume.isChecked() and self.volume.isEnabled() else 2

    def leave_to_model(self, on: bool) -> None:
        """Hide what the model to start from determines; disable its settings."""
        self.preset_row.setVisible(not on)
        self.noise_row.setVisible(not on and self.needs.noise_axis)
        why = "The model under Start determines this"
        enable(self.method_form.widget.native, not on, why)

    def allow_volume(self, has_z: bool) -> None:
        """Enable 3-D if there is an axis Z."""
        enable(self.volume, has_z, "The image has no axis Z")

    def show_noise(self, found: api.NoiseReport | None) -> None:
        """Show the axis that "automatic" stands for in this image."""
        text = AUTOMATIC
        if found is not None:
            facts = found.facts
            text += f" – {FOUND[facts.pattern].format(facts.axis)}"
            text += ", weak: none" if facts.weak else ""
        chosen = self.noise.currentIndex()
        fill(self.noise, [text, *AXES])
        self.noise.setCurrentIndex(chosen)

    def show_fit(
        self, facts: NoiseFacts | None, missing: Callable[[Needs], str]
    ) -> None:
        """Say below *Model* what speaks against the chosen method; tooltips, of each.

        Parameters
        ----------
        facts : NoiseFacts or None
            The noise of the image, if it is known.
        missing : callable
            Returns what a method with such needs lacks here, or "".
        """
        for i, (method, _) in enumerate(self.presets.values()):
            kind = get_method(method)
            lacks = missing(kind.needs)
            suits = None if facts is None else kind.suits(facts)
            reasons = [lacks] if suits is None else [suits.reason, lacks]
            tip = in_dock_words(" ".join(filter(None, reasons)))
            self.preset.setItemData(i, tip, Qt.ItemDataRole.ToolTipRole)
            if i == self.preset.currentIndex():
                self.doubt.setText(f"⚠ {tip}")
                unfit = suits is not None and not suits.score
                self.doubt.setVisible(bool(lacks) or unfit)

    def _make_forms(self) -> None:
        """Make the advanced forms for the chosen method and preset."""
        recipe = api.Recipe.preset(*self._chosen)
        rest = set(type(recipe.training).model_fields) - LENGTH
        self.length_form = ConfigForm(recipe.training, leave_out=rest)
        self.method_form = ConfigForm(recipe.settings, leave_out=ELSEWHERE)
        self.noise_row.setVisible(self.needs.noise_axis)
        self.training_form = ConfigForm(recipe.training, leave_out=LENGTH)
        rows = self.settings.rows
        while rows.count():
            widget = rows.takeAt(0).widget()
            if widget not in self.data_rows:  # these keep their values
                widget.deleteLater()
        reset = button("Reset", "Take the settings of the preset again", self._reset)
        for title, parts in (
            ("Length", [self.length_form]),
            ("Data", self.data_rows),
            ("Network and method", [self.method_form]),
            ("Training and machine", [self.training_form, reset]),
        ):
            rows.addWidget(Heading(title))
            for part in parts:
                form = isinstance(part, ConfigForm)
                rows.addWidget(part.widget.native if form else part)
                if form:
                    part.widget.changed.connect(lambda *_: self.changed.emit())

        self._show_length()

    def _show_length(self) -> None:
        """Show in the empty field of the time limit what stands for it."""
        limit = HOW_LONG[self.long.currentText()].get("time_limit")
        text = "none" if limit is None else f"{limit:g}, as How long says"
        self.length_form._widgets["time_limit"].native.setPlaceholderText(text)

    def _reset(self) -> None:
        self.volume.setChecked(False)
        self.filled.setCurrentIndex(0)
        self._make_forms()
        self.changed.emit()
