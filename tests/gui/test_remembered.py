"""Choices are taken up again in the next session."""

import pytest
from qtpy.QtWidgets import QCheckBox, QComboBox, QSpinBox

from napari_cosdd.gui._recipe_form import AS_NEEDED, RecipeForm
from napari_cosdd.gui._remembered import remember
from napari_cosdd.gui._samples_form import SamplesForm


def choose(box, text):
    """Choose an entry as a click does."""
    box.setCurrentText(text)
    box.textActivated.emit(text)


def test_the_docks_open_with_the_last_choices(qapp, session):
    form, samples = RecipeForm(), SamplesForm(session)
    assert form.long.currentText() == AS_NEEDED
    choose(form.long, "10 minutes")
    choose(form.preset, "Noise2Void · quick")
    samples.n_samples.setValue(33)
    samples.stacked.click()
    form, samples = RecipeForm(), SamplesForm(session)
    assert form.long.currentText() == "10 minutes"
    assert form.preset.currentText() == "Noise2Void · quick"
    assert samples.n_samples.value() == 33
    assert samples.stacked.isChecked()


def test_what_the_docks_choose_themselves_is_not_kept(qapp):
    box = QComboBox()
    box.addItems(["a", "b"])
    remember("box", box)
    box.setCurrentText("b")
    other = QComboBox()
    other.addItems(["a", "b"])
    remember("box", other)
    assert other.currentText() == "a"


@pytest.mark.parametrize(
    "content",
    ["[k]\nbox=gone\nspin=many\ncheck=maybe", "[k]\nspin=99999999999999", "\0\1["],
)
def test_a_file_that_says_nothing_usable_leaves_the_defaults(
    qapp, own_choices, content
):
    own_choices.parent.mkdir(parents=True)
    own_choices.write_text(content)
    box, spin, check = QComboBox(), QSpinBox(), QCheckBox()
    box.addItems(["a", "b"])
    spin.setValue(7)
    for key, widget in (("box", box), ("spin", spin), ("check", check)):
        remember(f"k/{key}", widget)
    assert (box.currentText(), spin.value(), check.isChecked()) == ("a", 7, False)
