from unittest.mock import patch

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtGui import QFontMetrics

from napari_cosdd.gui import noise_widget
from napari_cosdd.gui._layers import key_of
from napari_cosdd.gui._overlay import CELL, FRAME, LABEL, _font_for, is_bar, show_bar
from napari_cosdd.gui._rectangle import NoiseRectangle
from napari_cosdd.gui.noise_widget import DRAWN, FRAMES, NoiseWidget


@pytest.fixture
def look(viewer, session, shown, wait):
    """Open the dock and wait for what it finds."""

    def open_dock(name):
        widget = shown(NoiseWidget(viewer))
        wait(lambda: session.report(viewer.layers[name]) is not None)
        return widget

    return open_dock


def test_with_nothing_open_it_says_what_to_do(viewer, shown):
    widget = shown(NoiseWidget(viewer))
    assert "Open an image" in widget.sentence.text()
    assert not widget.use.isEnabled()
    assert widget.use.toolTip() == "Open an image first"


def test_an_open_image_is_looked_at_by_itself(look, stripes, session, viewer):
    widget = look("cells")
    report = session.report(viewer.layers["cells"])
    assert report.facts.axis == "x"
    assert widget.headline.text() == "✓ Noise along the rows. COSDD fits."
    assert not widget.map.isVisible()
    widget.why.expand(animate=False)
    assert widget.map.isVisible()
    assert report.facts.sentence in widget.reasons.text()
    assert widget.use.isEnabled()


def bars(viewer):
    return [layer for layer in viewer.layers if is_bar(layer)]


def test_the_bar_lies_over_the_image_and_can_be_hidden(look, stripes, viewer):
    widget = look("cells")
    (bar,) = bars(viewer)
    height, width, _ = bar.data.shape
    assert width > 5 * height  # along x
    cells = bar.data[LABEL + FRAME + CELL // 2, FRAME + CELL // 2 :: CELL]
    red, _, blue, _ = cells[10].astype(int)
    assert red > 2 * blue  # lag 0
    assert cells[0, :3].min() > 180  # no correlation
    low, high = bar.extent.world
    inside_low, inside_high = stripes.extent.world
    assert (low >= inside_low).all()
    assert (high <= inside_high).all()
    assert viewer.layers.selection.active is stripes
    widget.bar.setChecked(False)
    assert bars(viewer) == []
    widget.bar.setChecked(True)
    assert len(bars(viewer)) == 1


def test_the_bar_lies_in_the_part_of_the_image_that_is_seen(
    look, stripes, session, viewer
):
    look("cells")
    whole = bars(viewer)[0]
    stripes.corner_pixels = np.array([[20, 30], [80, 110]])
    show_bar(viewer, stripes, session.report(stripes))
    (bar,) = bars(viewer)
    (top, left), (bottom, right) = map(stripes.world_to_data, bar.extent.world)
    assert 20 <= top < bottom <= 81
    assert 30 <= left < right <= 111
    assert bar.scale[-1] <= whole.scale[-1]


def test_the_label_of_the_bar_fits(qapp):
    text = "noise correlation, ±10 px (1 px: -0.64)"
    font = _font_for(text, 150)
    assert QFontMetrics(font).horizontalAdvance(text) <= 150
    assert _font_for("x", 150).pixelSize() == LABEL - 8


def test_the_bar_of_noise_along_columns_stands_upright(look, noisy, viewer):
    viewer.add_image(noisy.T.copy(), name="turned")
    look("turned")
    height, width, _ = bars(viewer)[0].data.shape
    assert height > 5 * width


def test_the_bar_is_there_only_while_the_dock_is_in_front(look, stripes, viewer, wait):
    widget = look("cells")
    assert len(bars(viewer)) == 1
    widget.hide()
    wait(lambda: bars(viewer) == [])
    widget.show()
    wait(lambda: len(bars(viewer)) == 1)
    viewer.layers.remove(stripes)
    assert bars(viewer) == []


def test_plots_of_other_pixels_do_not_stay(look, stripes, viewer, wait):
    widget = look("cells")
    assert widget.why.isVisible()
    viewer.add_image(np.zeros((64, 64)), name="zeros")
    wait(lambda: widget.problem.isVisible())
    assert not widget.why.isVisible()
    assert bars(viewer) == []
    assert not widget.headline.isVisible()


def test_a_moved_rectangle_is_measured_again(look, stripes, session, viewer, wait):
    widget = look("cells")
    widget.where.setCurrentText(DRAWN)
    wait(lambda: session.report(viewer.layers["cells"]).source == "region")
    shapes = viewer.layers["cells · noise region"]
    np.testing.assert_allclose(shapes.scale, stripes.scale)
    first = session.report(viewer.layers["cells"])
    shapes.data = [np.array([[40, 60], [40, 120], [90, 120], [90, 60]])]
    wait(lambda: session.report(viewer.layers["cells"]) is not first)
    assert session.report(viewer.layers["cells"]).correlation.n_pixels == 51 * 61
    shapes.data = [np.array([[40, 60], [40, 64], [44, 64], [44, 60]])]
    wait(lambda: widget.problem.isVisible())
    assert "12 × 12" in widget.problem.text.text()
    assert not widget.use.isEnabled()


def test_a_rectangle_of_an_earlier_dock_is_followed(
    look, stripes, session, viewer, wait
):
    first = look("cells")
    first.where.setCurrentText(DRAWN)
    wait(lambda: session.report(viewer.layers["cells"]).source == "region")
    first.close()
    second = look("cells")
    second.where.setCurrentText(DRAWN)
    known = session.report(viewer.layers["cells"])
    wait(lambda: session.report(viewer.layers["cells"]) is not known)
    shapes = viewer.layers["cells · noise region"]
    shapes.data = [np.array([[40, 60], [40, 120], [90, 120], [90, 60]])]
    wait(lambda: session.report(viewer.layers["cells"]).correlation.n_pixels == 51 * 61)


def test_frames_are_offered_for_stacks_only(
    look, stripes, noisy, viewer, session, wait
):
    widget = look("cells")
    item = widget.where.model().item(2)
    assert not item.isEnabled()
    rng = np.random.default_rng(0)
    viewer.add_image(rng.normal(size=(4, 96, 96)), name="repeats")
    wait(lambda: session.report(viewer.layers["repeats"]) is not None)
    assert item.isEnabled()
    widget.where.setCurrentText(FRAMES)
    wait(lambda: session.report(viewer.layers["repeats"]).source == "frame differences")


def test_color_pictures_and_results_are_not_offered(viewer, shown, stripes):
    viewer.add_image(np.zeros((8, 8, 3), np.uint8), rgb=True, name="photo")
    viewer.add_points(np.zeros((1, 2)))
    widget = shown(NoiseWidget(viewer))
    names = [widget.image.itemText(i) for i in range(widget.image.count())]
    assert names == ["cells"]


def test_a_color_picture_alone_is_refused_kindly(viewer, shown):
    widget = shown(NoiseWidget(viewer))
    viewer.add_image(np.zeros((8, 8, 3), np.uint8), rgb=True, name="photo")
    assert "photo is a color (RGB) picture" in widget.sentence.text()
    viewer.layers.clear()
    assert "Open an image" in widget.sentence.text()


def test_it_follows_the_active_layer_until_one_is_chosen(viewer, stripes, shown, noisy):
    widget = shown(NoiseWidget(viewer))
    other = viewer.add_image(noisy, name="other")
    assert widget.image.currentText() == "other"
    viewer.layers.selection.active = stripes
    assert widget.image.currentText() == "cells"
    widget.image.choose(viewer.layers["other"])
    viewer.layers.selection.active = other
    viewer.layers.selection.active = stripes
    assert widget.image.currentText() == "other"


def test_renamed_and_removed_layers_are_followed(viewer, stripes, shown):
    widget = shown(NoiseWidget(viewer))
    stripes.name = "renamed"
    assert widget.image.currentText() == "renamed"
    assert widget.image.layer is stripes
    viewer.layers.remove(stripes)
    assert widget.image.layer is None
    assert "Open an image" in widget.sentence.text()


def test_a_renamed_layer_keeps_its_findings_and_its_bar(look, stripes, session, viewer):
    widget = look("cells")
    found = session.report(stripes)
    stripes.name = "renamed"
    assert session.report(stripes) is found
    widget.bar.setChecked(False)
    assert bars(viewer) == []


def test_another_layer_of_the_same_name_has_no_findings(look, stripes, session, viewer):
    widget = look("cells")
    widget.hide()  # so that it does not look at the next one
    viewer.layers.remove(stripes)
    other = viewer.add_image(np.zeros((64, 64)), name="cells")
    assert session.report(other) is None


def test_a_constant_image_is_told_in_words(viewer, shown, wait, monkeypatch):
    monkeypatch.setattr(
        "napari.utils.notifications.notification_manager.receive_error",
        lambda *args: None,
    )
    viewer.add_image(np.ones((64, 64)), name="flat")
    widget = shown(NoiseWidget(viewer))
    wait(lambda: widget.problem.isVisible())
    assert "constant" in widget.problem.text.text()
    assert "Traceback" in widget.problem._details


def test_plots_take_the_theme(viewer, shown):
    widget = shown(NoiseWidget(viewer))
    dark = widget.profiles.backgroundBrush().color().name()
    viewer.theme = "light"
    assert widget.profiles.backgroundBrush().color().name() != dark


def test_training_takes_the_findings_over(look, stripes, session, monkeypatch):
    widget = look("cells")
    opened, handed = [], []
    monkeypatch.setattr(
        noise_widget, "open_dock", lambda viewer, name: opened.append(name)
    )
    session.use_noise.connect(handed.append)
    widget.use.click()
    assert opened == ["Train"]
    assert handed == [key_of(stripes)]


def test_a_rectangle_does_not_wait_for_pixels_that_are_computed(viewer, qapp):
    def forbidden(block):
        raise AssertionError("computed while the window waits")

    lazy = da.zeros((3, 64, 80), chunks=(1, 64, 80)).map_blocks(forbidden, dtype=float)
    layer = Image(np.zeros((3, 64, 80)), name="lazy")
    viewer.add_layer(layer)
    with patch.object(type(layer), "data", lazy):
        NoiseRectangle(viewer, qapp).draw(layer)
    corners = viewer.layers["lazy · noise region"].data[0]
    np.testing.assert_allclose(corners[0], [24, 30])
