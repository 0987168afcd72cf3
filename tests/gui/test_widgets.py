import subprocess
import sys

import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QAbstractSpinBox, QLineEdit

from napari_cosdd.gui._dock import Dock
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._widgets import Sentence, button
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


COLLECTED = """
import gc, random, threading
from napari.utils.events import EmitterGroup
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QWidget
from napari_cosdd.gui._widgets import listen

class Listener(QWidget):
    def __init__(self, before):
        super().__init__()
        before.append(self)
        self.before = before  # a circle, which only a garbage collection takes
        listen(self, events.data, self.heard)
    def heard(self, event=None):
        pass

app, events = QApplication([]), EmitterGroup(source=None, data=None)
random.seed(0)
gc.freeze()
for i in range(50):
    for _ in range(20):
        Listener([object() for _ in range(random.randrange(5))])
    if i % 3 == 0:
        gc.collect(0)
    collecting = threading.Thread(target=gc.collect)
    collecting.start()
    collecting.join()
    app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
"""


def test_widgets_that_another_thread_collects_do_not_end_the_program():
    """Qt deletes them later, in its own thread, and then calls what is connected."""
    command = [sys.executable, "-c", COLLECTED]
    assert subprocess.run(command, check=False).returncode == 0


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


def test_enter_presses_the_button_that_has_the_focus_and_no_other(qtbot, shown):
    dock, pressed = Dock(), []
    main = button("main", "", lambda: pressed.append("main"))
    other = button("other", "", lambda: pressed.append("other"))
    typed = QLineEdit()
    for widget in (main, other, typed):
        dock.rows.addWidget(widget)
    shown(dock)
    other.setFocus()
    qtbot.keyClick(other, Qt.Key.Key_Return)
    assert pressed == ["other"]
    typed.setFocus()
    qtbot.keyClick(typed, Qt.Key.Key_Return)
    dock.setFocus()
    qtbot.keyClick(dock, Qt.Key.Key_Return)
    assert pressed == ["other"]


def turn_wheel(widget, qapp):
    at = QPointF(widget.rect().center())
    event = QWheelEvent(
        at,
        QPointF(widget.mapToGlobal(at.toPoint())),
        QPoint(0, 0),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    qapp.sendEvent(widget, event)


def test_the_wheel_changes_only_what_was_clicked_into(viewer, stripes, shown, qapp):
    viewer.add_image(stripes.data, name="b")
    train, denoise = shown(TrainWidget(viewer)), shown(DenoiseWidget(viewer))
    train.form.advanced.expand(animate=False)
    spins = [
        widget.native
        for form in (train.form.method_form, train.form.training_form)
        for widget in form._widgets.values()
        if isinstance(widget.native, QAbstractSpinBox)
    ]
    assert spins
    spins.append(denoise.samples.n_samples)
    boxes = [train.form.preset, train.form.noise, train.image]
    before = [box.currentIndex() for box in boxes], [spin.value() for spin in spins]
    for widget in (*boxes, *spins):
        widget.clearFocus()
        turn_wheel(widget, qapp)
    after = [box.currentIndex() for box in boxes], [spin.value() for spin in spins]
    assert after == before
    shown(denoise).activateWindow()
    denoise.samples.n_samples.setFocus()
    if denoise.samples.n_samples.hasFocus():
        turn_wheel(denoise.samples.n_samples, qapp)
        assert denoise.samples.n_samples.value() < before[1][-1]


def test_what_is_folded_takes_no_tab_stop(viewer, stripes, shown):
    train = shown(TrainWidget(viewer))
    inside = train.form.method_form.widget.native
    assert not inside.isVisible()
    train.form.advanced.expand(animate=False)
    assert inside.isVisible()
    train.form.advanced.collapse(animate=False)
    assert not inside.isVisible()


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


def test_a_sentence_without_text_takes_no_room(qtbot):
    sentence = Sentence()
    qtbot.addWidget(sentence)
    assert sentence.sizeHint().height() == sentence.heightForWidth(200) == 0
    sentence.setText("Now it says something that is longer than one line can be.")
    one_line = sentence.heightForWidth(2000)
    assert 0 < one_line < sentence.heightForWidth(100)
