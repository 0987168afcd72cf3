"""The Python in README and docs runs, on small images and for seconds."""

import re
from pathlib import Path

import numpy as np
import pytest

import napari_cosdd
from helpers import TINY, TRAINING
from napari_cosdd import api
from napari_cosdd.images.formats.any import write_image
from napari_cosdd.images.image import Image

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


LARGE = (Path(__file__).parents[1] / "docs" / "large.md").read_text(encoding="utf-8")


def test_there_is_a_snippet():
    assert SNIPPETS


def test_the_lazy_snippet_runs(model, noisy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("cells.safetensors")
    write_image(Path("slide.zarr"), Image(noisy, "YX"))
    (snippet,) = re.findall(r"```python\n(.*?)```", LARGE, re.DOTALL)
    names: dict = {}
    exec(compile(snippet, "large.md", "exec"), names)
    assert names["corner"].shape == (96, 128)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_run(snippet, noisy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "noisy.tif", Image(np.asarray(noisy), "YX"))
    fit = api.fit

    def quick(images, **settings):
        return fit(images, **(settings | TINY["cosdd"] | TRAINING))

    monkeypatch.setattr(napari_cosdd.api, "fit", quick)
    exec(compile(snippet, "README.md", "exec"), {})
