import io

import numpy as np
from rich.console import Console

from napari_cosdd import demo
from napari_cosdd.data.image import Image


def test_demo_leaves_everything_in_its_folder(tmp_path, monkeypatch):
    """In seconds, on a corner of the image: quality is the benchmark's business."""
    corner = demo.nuclei()
    small = Image(np.asarray(corner.data)[:160, :192], "YX", "nuclei")
    monkeypatch.setattr(demo, "nuclei", lambda: small)
    console = Console(file=io.StringIO(), width=200)
    folder = tmp_path / "demo"
    demo.run_demo(console, folder, 0.02, 3, False, False, lambda: False)
    names = {p.name for p in folder.iterdir()}
    kept = {f"nuclei-sample-{k}.tif" for k in (1, 2, 3)}
    rest = {"nuclei-noisy.tif", "nuclei-mean.tif", "nuclei-deviation.tif"}
    assert names == kept | rest | {"model.safetensors", "overview.png"}
