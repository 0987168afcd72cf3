"""The whole plugin in napari's real window; needs a display, Xvfb will do."""

import os
import sys

import numpy as np
import pytest
from napari._app_model import get_app_model

from napari_cosdd import api
from napari_cosdd.gui._canvas_view import camera_of, shows_all
from napari_cosdd.gui._dock import Dock
from napari_cosdd.gui._session import open_dock, session_of
from napari_cosdd.gui.sample_data import PLACE, ZOOM

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("QT_QPA_PLATFORM") == "offscreen"
        or (sys.platform.startswith("linux") and not os.environ.get("DISPLAY")),
        reason="no display: run under xvfb-run with QT_QPA_PLATFORM=xcb",
    ),
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("error::FutureWarning"),
]


@pytest.fixture
def window(make_napari_viewer_proxy):
    return make_napari_viewer_proxy(show=True)


def test_the_sample_opens_where_its_noise_is_seen(window, wait):
    window.open_sample("napari-cosdd", "nuclei")
    nuclei = window.layers["nuclei"]
    wait(lambda: camera_of(window).zoom == ZOOM)
    wait(lambda: nuclei.corner_pixels[1].max() > 0)
    (top, left), (bottom, right) = nuclei.corner_pixels
    assert top < PLACE[0] < bottom
    assert left < PLACE[1] < right
    assert right - left < nuclei.data.shape[1] / 2
    open_dock(window, "Noise")
    wait(lambda: "nuclei · noise correlation" in window.layers)
    low, high = window.layers["nuclei · noise correlation"].extent.world
    assert (low >= (top, left)).all()
    assert (high <= (bottom + 1, right + 1)).all()


def test_from_the_sample_to_the_solutions(window, wait, hurry):
    window.open_sample("napari-cosdd", "stripes")
    window.layers.selection.active = window.layers["stripes"]
    session = session_of(window)
    noise = open_dock(window, "Noise")
    wait(lambda: session.report(window.layers["stripes"]) is not None)
    assert session.report(window.layers["stripes"]).facts.axis == "x"
    assert "stripes · noise correlation" in window.layers
    noise.use.click()
    train = open_dock(window, "Train")
    assert train.image.currentText() == "stripes"
    assert "found along x" in train.form.noise.currentText()
    hurry(train)
    wait(lambda: "stripes · noise correlation" not in window.layers)
    train.train.click()
    wait(lambda: not session.training.job.active)
    assert session.training.job.error is None
    assert "stripes · training preview" in [x.name for x in window.layers]
    train.next.click()
    denoise = open_dock(window, "Denoise")
    denoise.samples.n_samples.setValue(4)
    denoise.samples.n_kept.setValue(2)
    denoise.run.click()
    wait(lambda: not session.denoising.job.active)
    assert session.denoising.job.error is None
    names = [layer.name for layer in window.layers]
    for part in ("mean", "deviation", "sample 1", "sample 2"):
        assert f"stripes · {part}" in names
    denoise.compare.grid.click()
    denoise.compare.grid.click()
    denoise.compare.difference.click()
    denoise.compare.forth.click()
    shot = window.screenshot(canvas_only=False, flash=False)
    assert shot.std() > 0


def test_closing_the_window_saves_the_training(
    make_napari_viewer, noisy, wait, own_models_folder, hurry
):
    viewer = make_napari_viewer(show=True)
    viewer.add_image(noisy.astype(np.float32), name="cells")
    session = session_of(viewer)
    train = open_dock(viewer, "Train")
    hurry(train, max_steps="100000")
    train.train.click()
    job, record = session.training
    wait(lambda: record.last is not None and record.last.step > 20)
    job._worker.quit()  # as the window does once the user has confirmed
    wait(lambda: not job.active)
    (file,) = own_models_folder.glob("*.safetensors")
    assert api.load(file).history["step"]


def test_a_model_file_dropped_in_opens_the_dock(window, model, tmp_path):
    model.save(tmp_path / "mine.safetensors")
    window.open(str(tmp_path / "mine.safetensors"), plugin="napari-cosdd")
    assert len(window.layers) == 0
    assert open_dock(window, "Denoise").model.choice.currentText() == "mine"


def open_by_menu(window, name):
    """Open a dock as the Plugins menu does."""
    get_app_model().commands.execute_command(f"napari-cosdd.{name.lower()}").result()


def beside(widget):
    """Return our docks in the window of one of them."""
    main = widget.holder.parentWidget()
    return [dock for dock in main.findChildren(Dock) if dock.holder is not None]


@pytest.mark.parametrize("first", ["menu", "button"])
def test_docks_are_one_each_and_can_be_opened_again(window, wait, first):
    if first == "menu":
        open_by_menu(window, "Train")
    train = open_dock(window, "Train")
    assert open_dock(window, "Train") is train
    assert len(beside(train)) == 1
    if first == "button":
        open_by_menu(window, "Train")  # which hides it, as for any plugin
        open_by_menu(window, "Train")
        assert len(beside(train)) == 1
    window.window.remove_dock_widget(train.holder)
    again = open_dock(window, "Train")
    wait(again.isVisible)
    assert again is not train


def test_docks_are_tabs_of_one_place(window, wait):
    open_by_menu(window, "Noise")
    open_by_menu(window, "Train")
    denoise = open_dock(window, "Denoise")
    wait(denoise.isVisible)
    main = denoise.holder.parentWidget()
    wait(lambda: len(main.tabifiedDockWidgets(denoise.holder)) == 2)
    assert denoise.isVisible()
    noise = open_dock(window, "Noise")
    wait(
        lambda: (
            denoise.visibleRegion().isEmpty() and not noise.visibleRegion().isEmpty()
        )
    )


def test_a_dock_that_narrows_the_canvas_cuts_nothing_off(window, wait):
    window.add_image(np.zeros((60, 400)))  # as wide as the canvas
    window.reset_view()
    wide = window.scene.camera.zoom
    open_dock(window, "Noise")
    wait(lambda: window.scene.camera.zoom < 0.9 * wide)
    assert shows_all(window)


@pytest.mark.parametrize("chosen", [0.5, 3])
def test_a_view_that_the_user_chose_stays(window, qtbot, chosen):
    window.add_image(np.zeros((60, 400)))
    window.reset_view()
    window.scene.camera.zoom = zoom = chosen * window.scene.camera.zoom
    assert shows_all(window) == (chosen < 1)
    open_dock(window, "Noise")
    qtbot.wait(500)
    assert window.scene.camera.zoom == zoom
