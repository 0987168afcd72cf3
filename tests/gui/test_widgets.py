import pytest
from qtpy.QtCore import QEvent, Qt

from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._widgets import Dock, button
from napari_cosdd.gui.denoise_widget import DenoiseWidget
from napari_cosdd.gui.noise_widget import NoiseWidget
from napari_cosdd.gui.train_widget import TrainWidget


def listeners(viewer):
    """Count who listens to the viewer, its layers and its cursor."""
    emitters = [
        viewer.events.theme,
        viewer.cursor.events.position,
        viewer.layers.events.inserted,
        viewer.layers.events.removed,
        viewer.layers.selection.events.active,
        viewer.layers.events.reordered,
        *(layer.events.name for layer in viewer.layers),
        *(layer.events.data for layer in viewer.layers),
    ]
    return [len(emitter.callbacks) for emitter in emitters]


@pytest.mark.parametrize("dock", [NoiseWidget, TrainWidget, DenoiseWidget])
def test_a_destroyed_dock_hears_of_napari_no_more(dock, viewer, stripes, qapp):
    """Python may have it for longer, as `widget` here: Qt has not."""
    before = listeners(viewer)
    widget = dock(viewer)
    assert listeners(viewer) != before
    other = viewer.add_image(stripes.data, name="another")
    viewer.layers.remove(other)
    assert not any("LayerChoice" in str(c) for c in other.events.name.callbacks)
    widget.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert listeners(viewer) == before


def test_enter_presses_the_button_that_has_the_focus(qtbot, shown):
    dock, pressed = Dock(), []
    dock.main = button("main", "", lambda: pressed.append("main"))
    other = button("other", "", lambda: pressed.append("other"))
    dock.rows.addWidget(dock.main)
    dock.rows.addWidget(other)
    shown(dock)
    other.setFocus()
    qtbot.keyClick(other, Qt.Key.Key_Return)
    assert pressed == ["other"]
    dock.setFocus()
    qtbot.keyClick(dock, Qt.Key.Key_Return)
    assert pressed == ["other", "main"]


def test_a_layer_is_chosen_whatever_its_place_and_name(viewer, stripes, shown):
    viewer.add_image(stripes.data, name="b")
    choice = shown(LayerChoice(viewer))
    choice.choose(stripes)
    viewer.layers.move(0, 2)
    stripes.name = "renamed"
    assert choice.layer is stripes
    assert choice.currentText() == "renamed"


def test_new_pixels_of_the_chosen_layer_are_told(viewer, stripes, shown):
    other = viewer.add_image(stripes.data, name="b")
    choice, told = shown(LayerChoice(viewer)), []
    choice.choose(stripes)
    choice.chosen.connect(lambda: told.append(1))
    other.data = other.data.T
    assert told == []
    stripes.data = stripes.data.T
    assert told == [1]
