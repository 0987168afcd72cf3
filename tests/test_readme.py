"""The README's Python runs, on a small image and for seconds."""

import re
from pathlib import Path

import numpy as np
import pytest

import napari_cosdd
from helpers import TINY, TRAINING
from napari_cosdd import api
from napari_cosdd.data.image import Image
from napari_cosdd.data.io import write_image

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_is_a_snippet():
    assert SNIPPETS


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_run(snippet, noisy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "noisy.tif", Image(np.asarray(noisy), "YX"))
    fit = api.fit

    def quick(images, **settings):
        return fit(images, **(settings | TINY["cosdd"] | TRAINING))

    monkeypatch.setattr(napari_cosdd.api, "fit", quick)
    exec(compile(snippet, "README.md", "exec"), {})
