"""The Train dock shows what a method needs, and gives it to the training."""

import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from scipy import ndimage

from helpers import TINY, TRAINING
from napari_cosdd import api
from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._models import ModelEntry
from napari_cosdd.gui._psf import BEADS, PsfDialog
from napari_cosdd.gui.train_widget import TrainWidget
from napari_cosdd.methods.registry import METHODS

sys.path.insert(0, str(Path(__file__).parents[1] / "methods"))
from toys import TOYS

TINY_CARE = TINY["care"] | TRAINING | {"max_steps": 4}


@pytest.fixture(params=sorted(TOYS))
def toy(request, monkeypatch):
    monkeypatch.setitem(METHODS, request.param, f"toys:{TOYS[request.param].__name__}")
    return request.param


@pytest.fixture
def camera_file(camera, tmp_path):
    path = tmp_path / "camera.safetensors"
    api.save_noise_model(camera, path)
    return path


def test_the_dock_trains_it(toy, pair, camera_file, viewer, shown, wait):
    clean, noisy = pair
    truth = viewer.add_image(clean.astype(np.float32), name="truth")
    viewer.add_image(noisy.astype(np.float32), name="noisy")
    dock = shown(TrainWidget(viewer))
    needs = TOYS[toy].needs
    dock.form.preset.setCurrentText(f"{TOYS[toy].title} · quick")
    assert dock.form.noise_row.isHidden() is not needs.noise_axis
    if needs.noise_axis:
        dock.form.noise.setCurrentIndex(1)
    for form in (dock.form.length_form, dock.form.training_form):
        for name, value in {"max_steps": "6", "crop_size": 32}.items():
            if name in form._widgets:
                form._widgets[name].value = value
    dock.train.click()
    if needs.target != "none":
        assert "Choose the layer with the target" in dock.problem.text.text()
        dock.needs.target.choose(truth)
        dock.train.click()
    if needs.noise_models:
        assert not dock.train.isEnabled()
        assert "needs a noise model" in dock.train.toolTip()
        dock.needs.open_noise_model(camera_file)
        assert dock.needs.noise_model_name.text() == "camera (mixture of Gaussians)"
        dock.train.click()
    job, record = dock.session.training
    wait(lambda: not job.active)
    assert job.error is None
    assert record.result.name == toy
    assert [dock.view.tabs.tabText(i) for i in range(2)] == ["Toys", "Rate"]


def tip_and_doubt(dock, name):
    """Choose a method; return its tooltip, and the line below it if it is shown."""
    dock.form.preset.setCurrentText(name)
    at = dock.form.preset.findText(name)
    tip = dock.form.preset.itemData(at, Qt.ItemDataRole.ToolTipRole)
    return tip, "" if dock.form.doubt.isHidden() else dock.form.doubt.text()


def test_methods_that_lack_something_say_what(pair, camera_file, viewer, shown):
    viewer.add_image(pair[1].astype(np.float32), name="noisy")
    dock = shown(TrainWidget(viewer))
    tip, doubt = tip_and_doubt(dock, "CARE · quick")
    assert "needs a clean image" in tip
    assert doubt
    tip, doubt = tip_and_doubt(dock, "Probabilistic Noise2Void · quick")
    assert "Calibrate the camera" in tip
    assert doubt
    assert tip_and_doubt(dock, "HDN · quick")[1] == ""  # learns it along
    viewer.add_image(pair[0].astype(np.float32), name="truth")
    dock.needs.open_noise_model(camera_file)
    assert tip_and_doubt(dock, "CARE · quick")[1] == ""
    assert tip_and_doubt(dock, "Probabilistic Noise2Void · quick")[1] == ""


def test_methods_that_do_not_suit_the_noise_say_so(viewer, shown):
    rng = np.random.default_rng(0)
    data = 100 + ndimage.uniform_filter1d(rng.normal(0, 10, (256, 256)), 3)
    layer = viewer.add_image(data.astype(np.float32), name="rows")
    dock = shown(TrainWidget(viewer))
    assert tip_and_doubt(dock, "HDN · quick")[1] == ""
    dock.session.add_report(layer, api.analyze(data.astype(np.float32)))
    tip, doubt = tip_and_doubt(dock, "HDN · quick")
    assert "independent" in tip
    assert doubt
    assert tip_and_doubt(dock, "COSDD · quick")[1] == ""


def test_the_point_spread_comes_from_the_optics(viewer, shown, monkeypatch):
    layer = viewer.add_image(np.ones((64, 64), np.float32), scale=(0.065, 0.065))
    layer.units = ("um", "um")
    dock = shown(TrainWidget(viewer))
    assert dock.needs.psf.isHidden()
    dock.form.preset.setCurrentText("DecoNoising · quick")
    assert not dock.needs.psf.isHidden()
    dialog = PsfDialog(viewer)
    assert dialog.pixel.value() == pytest.approx(65)
    dialog.wavelength.setValue(600)
    width = 0.21 * 600 / 1.4 / 65
    assert dialog.width_found == pytest.approx(width)
    assert f"{width:.3g} px" in dialog.sentence.text()
    dialog.source.setCurrentText(BEADS)
    assert dialog.width_found is None
    assert "Choose the layer" in dialog.problem.text.text()
    dialog.deleteLater()
    monkeypatch.setattr(PsfDialog, "exec", lambda self: True)
    dock.needs.psf._find()
    assert dock._recipe().settings.psf == pytest.approx(0.21 * 520 / 1.4 / 65, rel=0.01)


def test_a_layer_of_beads_gives_the_point_spread(viewer, shown):
    yy, xx = np.mgrid[:96, :96]
    beads = 100 * np.exp(-((yy - 48) ** 2 + (xx - 40) ** 2) / (2 * 1.7**2))
    layer = viewer.add_image(np.stack([beads, 0 * beads]), name="beads")
    dialog = shown(PsfDialog(viewer))
    dialog.source.setCurrentText(BEADS)
    dialog.diameter.setValue(0)
    viewer.dims.set_point(0, 0)
    dialog.beads.choose(layer)
    assert dialog.width_found == pytest.approx(1.7, rel=0.02)


def test_a_noise_model_of_another_kind_is_not_taken_and_one_can_be_given_up(
    pair, camera_file, viewer, shown
):
    viewer.add_image(pair[1].astype(np.float32), name="noisy")
    dock = shown(TrainWidget(viewer))
    dock.needs.open_noise_model(camera_file)
    dock.form.preset.setCurrentText("HDN · quick")
    assert dock.needs.chosen_noise_model() == camera_file
    dock.form.preset.setCurrentText("Autonoise · quick")
    assert dock.needs.noise_model_name.text() == "none chosen"
    with pytest.raises(BadInputError, match="autoregressive"):
        dock.needs.chosen_noise_model()
    dock.form.preset.setCurrentText("HDN · quick")
    dock.needs.forget.click()
    assert dock.needs.chosen_noise_model() is None
    assert "learned along" in dock.needs.noise_model_name.text()


def test_a_model_to_start_from_says_what_the_training_needs(
    pair, viewer, shown, session
):
    clean, noisy = (one.astype(np.float32) for one in pair)
    care = api.fit(noisy, axes="YX", method="care", targets=clean, **TINY_CARE)
    session.add_model(ModelEntry("restorer", None, care))
    viewer.add_image(noisy, name="noisy")
    dock = shown(TrainWidget(viewer))
    assert dock.needs.target_row.isHidden()
    dock.start.choice.setCurrentText("restorer")
    assert not dock.needs.target_row.isHidden()
    session.rename_model(session.models[0], "renamed")
    assert dock.start.choice.currentText() == "renamed"
    session.delete_model(session.models[0])
    assert dock.start.is_fresh
    assert not dock.form.preset_row.isHidden()
    assert dock.needs.target_row.isHidden()
