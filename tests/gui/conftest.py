import numpy as np
import pytest

pytest.importorskip("pytestqt")

from napari.components import ViewerModel

from napari_cosdd.gui import _models, _remembered
from napari_cosdd.gui._session import session_of

FAST = {"max_steps": "40", "batch_size": 2, "crop_size": 32, "validation_every": 10}
SMALL = {"n_levels": 2, "n_channels": 8, "n_latents": 2, "receptive_field": "5"}
#: Of a job on tiny images, milliseconds.
PATIENCE = 60_000


@pytest.fixture(autouse=True)
def own_models_folder(tmp_path, monkeypatch):
    """Keep the user's models out of the tests, and the tests' out of theirs."""
    folder = tmp_path / "models"
    monkeypatch.setattr(_models, "models_folder", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def own_choices(tmp_path, monkeypatch):
    """Keep what the user chose last out of the tests, and the tests' choices, too."""
    file = tmp_path / "config" / "docks.ini"
    monkeypatch.setattr(_remembered, "choices_file", lambda: file)
    return file


@pytest.fixture
def viewer(qapp):
    made = ViewerModel()
    session_of(made).check_results = False  # where no test waits for it
    return made


@pytest.fixture
def session(viewer):
    return session_of(viewer)


@pytest.fixture
def stripes(viewer, noisy):
    """The noisy phantom as a layer with a pixel size and a place of its own."""
    return viewer.add_image(
        noisy.astype(np.float32),
        name="cells",
        scale=(0.5, 0.25),
        translate=(10, 20),
        units=("um", "um"),
        axis_labels=("y", "x"),
    )


@pytest.fixture
def wait(qtbot):
    """Wait until a condition holds, while the window goes on."""

    def until(condition):
        qtbot.waitUntil(condition, timeout=PATIENCE)

    return until


@pytest.fixture
def shown(qtbot):
    """Show a widget as a dock would, which holds it as long as it is seen."""
    held = []

    def show(widget):
        held.append(widget)
        qtbot.addWidget(widget)
        widget.show()
        qtbot.waitExposed(widget)
        return widget

    yield show
    held.clear()


@pytest.fixture
def hurry():
    """Fill the forms of a Train dock with what trains in a second."""

    def fill_in(widget, **settings):
        for form in (
            widget.form.length_form,
            widget.form.training_form,
            widget.form.method_form,
        ):
            for name, value in {**FAST, **SMALL, **settings}.items():
                if name in form._widgets:
                    form._widgets[name].value = value
        widget.form.noise.setCurrentIndex(1)  # along rows

    return fill_in
