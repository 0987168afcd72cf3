"""The manifest as napari reads it, and what `npe2 validate` does not catch."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManifest
from packaging.requirements import Requirement
from packaging.version import Version

import napari_cosdd

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution("napari-cosdd")


def test_every_command_can_be_imported(manifest):
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(import_module(module), name))


def test_every_contribution_names_a_declared_command(manifest):
    declared = {c.id for c in manifest.contributions.commands}
    contributions = manifest.contributions
    named = [*contributions.sample_data, *contributions.widgets]
    named += [*contributions.readers, *contributions.writers]
    named += [item for items in contributions.menus.values() for item in items]
    assert {contribution.command for contribution in named} == declared


def test_menus_are_open_to_plugins(manifest):
    from napari._app_model.constants import MenuId

    open_to_plugins = {menu.value for menu in MenuId.contributables()}
    assert set(manifest.contributions.menus) <= open_to_plugins


def test_listing_the_plugin_loads_neither_torch_nor_qt():
    code = (
        "import sys; from npe2 import PluginManifest; "
        "PluginManifest.from_distribution('napari-cosdd'); import napari_cosdd; "
        "print([m for m in ('torch', 'qtpy', 'pyqtgraph') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_only_model_files_are_read():
    from napari_cosdd.gui.model_reader import open_model

    assert open_model("a.safetensors") is not None
    assert open_model(["a.safetensors"]) is not None
    assert open_model("a.tif") is None


def test_the_link_at_the_top_is_the_manifest_of_the_package():
    inside = Path(napari_cosdd.__file__).with_name("napari.yaml")
    assert (ROOT / "napari.yaml").read_text() == inside.read_text()


def test_samples_are_layers(manifest):
    for sample in manifest.contributions.sample_data:
        command = next(
            c for c in manifest.contributions.commands if c.id == sample.command
        )
        module, _, name = command.python_name.partition(":")
        for data, keywords, kind in getattr(import_module(module), name)():
            assert kind == "image"
            assert np.asarray(data).ndim in (2, 3)
            assert keywords["name"]


def test_the_oldest_versions_that_are_tested_are_those_that_are_allowed():
    """torch excepted, of which an older version would bring gigabytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = project["project"]
    stated = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    allowed = {
        req.name: spec.version
        for req in map(Requirement, stated)
        for spec in req.specifier
        if spec.operator == ">=" and req.name != "torch"
    }
    lines = (ROOT / "oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(x.split("#")[0]) for x in lines if x and x[0] != "#"]
    tested = {
        req.name: spec.version
        for req in pins
        for spec in req.specifier
        if spec.operator == "==" and req.name != "torch"
    }
    assert {k: Version(v) for k, v in tested.items()} == {
        k: Version(v) for k, v in allowed.items()
    }
