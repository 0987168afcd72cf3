import subprocess
import sys

import pytest

from napari_cosdd.gui import docks
from napari_cosdd.gui.noise_widget import NoiseWidget


def test_a_dock_is_there_before_torch():
    code = "import napari_cosdd.gui.docks, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_says_that_it_loads_and_is_filled_then(viewer, shown, wait, monkeypatch):
    monkeypatch.setattr(docks, "is_loaded", lambda: False)
    dock = shown(docks.NoiseDock(viewer))
    assert dock.sentence.isVisible()
    assert "Loading" in dock.sentence.text()
    wait(lambda: isinstance(dock._content, NoiseWidget))
    wait(lambda: dock.content.isVisible())
    assert dock.waiting is None


def test_our_own_buttons_need_not_wait(viewer, shown, monkeypatch):
    monkeypatch.setattr(docks, "is_loaded", lambda: False)
    dock = shown(docks.NoiseDock(viewer))
    content = dock.content
    assert isinstance(content, NoiseWidget)
    assert dock.content is content


def test_an_import_that_fails_is_told(viewer, shown, wait, monkeypatch):
    def fail(name):
        raise ImportError("libcudart.so is missing")

    monkeypatch.setattr(docks, "is_loaded", lambda: False)
    monkeypatch.setattr(docks, "import_module", fail)
    dock = shown(docks.NoiseDock(viewer))
    wait(lambda: "cannot be loaded" in dock.sentence.text())
    assert "libcudart.so is missing" in dock.sentence.text()
    assert not dock.busy.isVisible()


def test_a_runtime_that_is_too_old_is_told():
    error = OSError("c10.dll does not start")
    error.winerror = 1114
    assert "upgrade PyQt6 or PySide6" in docks.remedy_of(error)


@pytest.mark.parametrize("dock", [docks.NoiseDock, docks.TrainDock, docks.DenoiseDock])
def test_each_is_built_at_once_where_torch_is_loaded(dock, viewer, shown):
    made = shown(dock(viewer))
    assert made.content.isVisible()
