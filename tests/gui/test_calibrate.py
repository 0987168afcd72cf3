"""The Noise dock measures a noise model, draws it, and gives it to the Train dock."""

import numpy as np
import pytest

from napari_cosdd import api
from napari_cosdd.datasets.simulate import ar1
from napari_cosdd.gui import _calibrate, model_reader
from napari_cosdd.gui.noise_widget import NoiseWidget
from napari_cosdd.gui.train_widget import TrainWidget
from napari_cosdd.noise_models import autoregressive

GAIN, READ = 4.0, 15.0


def camera(scene, seed):
    rng = np.random.default_rng(seed)
    return GAIN * rng.poisson(scene / GAIN) + rng.normal(0, READ, scene.shape)


@pytest.fixture
def scene():
    y, x = np.mgrid[:160, :160]
    return 1200 * (1.1 + np.sin(x / 25) * np.cos(y / 30))


@pytest.fixture
def calibrated(viewer, shown, wait):
    """Calibrate on the open layer; return the dock and the noise model's path."""

    def run(source, kind=None, clean=None):
        dock = shown(NoiseWidget(viewer))
        view = dock.calibrate
        view.source.setCurrentText(source.name)
        if kind is not None:
            view.kind.setCurrentText(kind)
        if clean is not None:
            view.clean.choose(clean)
        view.run.click()
        wait(lambda: view._job is None or not view._job.active)
        return view, dock.session.noise_model

    return run


def deviation_at(path, signal):
    model = api.load_noise_model(path)
    curve = _calibrate.curves_of(model)
    return np.sqrt(np.interp(signal, curve.signal, curve.variance))


@pytest.mark.parametrize("kind", ["histogram", "mixture of Gaussians"])
def test_frames_are_measured_drawn_and_offered(kind, scene, viewer, calibrated, shown):
    frames = np.stack([camera(scene, s) for s in range(10)]).astype(np.float32)
    viewer.add_image(frames, name="repeats", axis_labels=("t", "y", "x"))
    view, path = calibrated(_calibrate.FRAMES, kind)
    true = np.sqrt(GAIN * 1300 + READ**2)
    assert deviation_at(path, 1300) == pytest.approx(true, rel=0.07)
    assert path.parent.name == "noise models"
    assert kind in view.sentence.text()
    measured, line = view.variance._points.yData, view.variance._fit.yData
    assert np.median(line) == pytest.approx(np.median(measured), rel=0.15)
    assert view.density._image.image.max() == pytest.approx(1)
    train = shown(TrainWidget(viewer))
    assert train.needs.noise_model == path
    train.form.preset.setCurrentText("Probabilistic Noise2Void · quick")
    assert path.stem in train.needs.noise_model_name.text()


def test_a_kind_that_does_not_describe_the_noise_is_said(scene, viewer, calibrated):
    """Few photons with pulses of random height are far from Gaussian noise."""
    rng = np.random.default_rng(0)
    frames = rng.poisson(scene / 1500, (12, *scene.shape)) * 60.0
    viewer.add_image(frames, name="counts", axis_labels=("t", "y", "x"))
    view, _ = calibrated(_calibrate.FRAMES, "Poisson and Gauss")
    assert "⚠ at some brightness the noise model (Poisson" in view.sentence.text()


def test_an_image_alone_and_a_clean_layer(scene, viewer, calibrated):
    noisy = viewer.add_image(camera(scene, 0).astype(np.float32), name="noisy")
    clean = viewer.add_image(scene.astype(np.float32), name="clean")
    viewer.layers.selection.active = noisy
    true = np.sqrt(GAIN * 1300 + READ**2)
    _, path = calibrated(_calibrate.ALONE)
    assert deviation_at(path, 1300) == pytest.approx(true, rel=0.15)
    _, path = calibrated(_calibrate.CLEAN, "mixture of Gaussians", clean)
    assert deviation_at(path, 1300) == pytest.approx(true, rel=0.1)


@pytest.fixture
def few_steps(monkeypatch):
    """Fit an autoregressive model in a second; how well is tested elsewhere."""
    monkeypatch.setattr(autoregressive, "STEPS", 30)


def test_a_dark_image_gives_an_autoregressive_model(viewer, calibrated, few_steps):
    rng = np.random.default_rng(0)
    dark = 100 + 12 * ar1((128, 160), 0.7, rng)
    viewer.add_image(dark.astype(np.float32), name="dark")
    view, path = calibrated(_calibrate.DARK)
    assert api.load_noise_model(path).config.axis == "x"
    assert "autoregressive" in view.sentence.text()


def test_what_is_missing_is_said(scene, viewer, calibrated):
    view, path = calibrated(_calibrate.ALONE)
    assert "Open an image first" in view.problem.text.text()
    viewer.add_image(camera(scene, 0).astype(np.float32), name="noisy")
    view, path = calibrated(_calibrate.CLEAN)
    assert "Choose the layer" in view.problem.text.text()
    view, path = calibrated(_calibrate.FRAMES)
    assert "no series of repeated frames" in view.problem.text.text()
    assert path is None
    assert view.run.isEnabled()


def test_a_noise_model_is_told_from_a_denoiser(tmp_path, monkeypatch, viewer):
    path = tmp_path / "camera.safetensors"
    rng = np.random.default_rng(0)
    s = rng.uniform(0, 1000, (128, 128))
    api.calibrate(camera(s, 0), clean=s, axes="YX", kind="poisson_gauss", output=path)
    monkeypatch.setattr("napari.current_viewer", lambda: viewer)
    opened = []
    monkeypatch.setattr(
        "napari_cosdd.gui._session.open_dock", lambda _viewer, name: opened.append(name)
    )
    assert model_reader.open_model(str(path))(str(path)) == [(None,)]
    assert opened == ["Train"]


def test_a_stack_alone_is_no_series_of_repeats(viewer, calibrated, few_steps):
    """The mean over z is no signal: each plane is measured for itself."""
    rng = np.random.default_rng(0)
    y = np.linspace(0, 1, 128)
    planes = [np.outer(300 + 700 * y, np.ones(128)) * f for f in (0.5, 1.0, 1.5)]
    data = rng.poisson(np.stack(planes)).astype(np.float32)
    viewer.add_image(data, name="stack", axis_labels=("z", "y", "x"))
    _, path = calibrated(_calibrate.ALONE, "Poisson and Gauss")
    assert deviation_at(path, 800) == pytest.approx(np.sqrt(800), rel=0.3)
    viewer.layers.clear()
    dark = rng.normal(100, 5, (5, 96, 96)).astype(np.float32)
    viewer.add_image(dark, name="dark", axis_labels=("t", "y", "x"))
    _, path = calibrated(_calibrate.DARK, "autoregressive")
    assert path.exists()
