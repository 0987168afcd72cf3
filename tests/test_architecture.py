"""What may be loaded by whom, in fresh processes."""

import json
import subprocess
import sys
from pathlib import Path

import napari_cosdd

ROOT = Path(napari_cosdd.__file__).parent
MODULES = sorted(
    "napari_cosdd." + ".".join(p.relative_to(ROOT).with_suffix("").parts)
    for p in ROOT.rglob("*.py")
    if p.name not in {"__init__.py", "__main__.py"} and "gui" not in p.parts
)


def loaded_after(statement: str) -> set[str]:
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(json.loads(out.stdout))


def test_importing_the_package_loads_neither_torch_nor_qt():
    loaded = loaded_after("import napari_cosdd")
    assert not loaded & {"torch", "napari", "qtpy", "numpy", "pydantic"}


def test_no_module_outside_the_gui_loads_napari_or_qt():
    assert len(MODULES) > 30
    loaded = loaded_after("import " + ", ".join(MODULES))
    assert not loaded & {"napari", "qtpy", "magicgui", "superqt", "pyqtgraph"}


def test_sample_data_names_load_no_torch():
    assert "torch" not in loaded_after("import napari_cosdd.gui.sample_data")
