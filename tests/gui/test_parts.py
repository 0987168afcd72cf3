import pytest
from qtpy.QtCore import QEvent, Qt

from napari_cosdd.gui._parts import Dock, button
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
        *(layer.events.name for layer in viewer.layers),
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
