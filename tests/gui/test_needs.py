"""The Train dock shows what a method needs, and gives it to the training."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_cosdd import api
from napari_cosdd.gui.train_widget import TrainWidget
from napari_cosdd.methods.registry import METHODS
from napari_cosdd.noise_models.calibrate import calibrate_pairs

sys.path.insert(0, str(Path(__file__).parents[1] / "methods"))
from toys import TOYS


@pytest.fixture(params=sorted(TOYS))
def toy(request, monkeypatch):
    monkeypatch.setitem(METHODS, request.param, f"toys:{TOYS[request.param].__name__}")
    return request.param


@pytest.fixture
def camera(pair, tmp_path):
    path = tmp_path / "camera.safetensors"
    api.save_noise_model(calibrate_pairs(*pair, "mixture"), path)
    return path


def test_the_dock_trains_it(toy, pair, camera, viewer, shown, wait):
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
        wait(lambda: not dock.session.training.job.active)
        assert "needs a noise model" in dock.problem.text.text()
        dock.needs.open_noise_model(camera)
        assert dock.needs.noise_model_name.text() == "camera (mixture of Gaussians)"
        dock.train.click()
    job, record = dock.session.training
    wait(lambda: not job.active)
    assert job.error is None
    assert record.result.name == toy
    assert [dock.view.tabs.tabText(i) for i in range(2)] == ["Toys", "Rate"]
