import io

import numpy as np
import tifffile
from rich.console import Console

from napari_cosdd.cli import _demonstration as demo
from napari_cosdd.images.image import Image
from napari_cosdd.models.trained_model import TrainedModel


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
    with tifffile.TiffFile(folder / "nuclei-mean.tif") as tiff:
        made_by = TrainedModel.load(folder / "model.safetensors").fingerprint
        assert made_by in tiff.ome_metadata
