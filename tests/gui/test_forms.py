import pytest

from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._forms import ConfigForm
from napari_cosdd.training.recipe import Recipe


@pytest.fixture
def recipe():
    return Recipe.preset("cosdd", "quick")


@pytest.fixture
def form(qapp, recipe):
    return ConfigForm(recipe.training)


def test_an_untouched_form_changes_nothing(form, qapp, recipe):
    assert form.changes() == {}
    assert ConfigForm(recipe.settings).changes() == {}


def test_each_field_has_its_title_unit_and_description(form):
    widget = form._widgets["crop_size"]
    assert widget.label == "Crop size (px)"
    assert "training crop" in widget.tooltip
    assert (widget.min, widget.max) == (8, 4096)


def test_only_changes_come_back_and_the_config_checks_them(form, recipe):
    form._widgets["batch_size"].value = 3
    form._widgets["learning_rate"].value = "1e-4"
    form._widgets["time_limit"].value = "2.5"
    changes = form.changes()
    assert set(changes) == {"batch_size", "learning_rate", "time_limit"}
    training = recipe.changed({}, changes).training
    assert training.learning_rate == 1e-4
    assert training.time_limit == 2.5
    form._widgets["learning_rate"].value = "fast"
    with pytest.raises(BadInputError, match="learning_rate"):
        recipe.changed({}, form.changes())


def test_an_emptied_optional_field_is_open_again(qapp, recipe):
    limited = recipe.changed({}, {"time_limit": 4}).training
    form = ConfigForm(limited)
    form._widgets["time_limit"].value = " "
    assert form.changes() == {"time_limit": None}


def test_fields_can_be_left_out(qapp, recipe):
    form = ConfigForm(recipe.training, leave_out=["seed", "device"])
    assert "seed" not in form._widgets
    assert "batch_size" in form._widgets
