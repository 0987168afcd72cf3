import json
from html import unescape

import numpy as np
import pytest
import tifffile
from napari.components import LayerList
from napari.layers import Image as ImageLayer
from npe2 import PluginManager

from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._layers import KEY
from napari_cosdd.gui.result_writer import write_layers
from napari_cosdd.images.formats.any import read_image


@pytest.fixture
def result():
    made = {"source": "cells", "source_key": "1", "part": "mean", "role": "estimate"}
    made |= {"key": "2", "model": "m.safetensors", "fill": "outliers"}
    return ImageLayer(
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        name="cells · mean",
        scale=(1, 0.2, 0.1),
        units=("pixel", "um", "um"),
        axis_labels=("t", "y", "x"),
        metadata={KEY: made},
    )


@pytest.mark.parametrize("suffix", [".ome.tif", ".ome.zarr"])
def test_a_result_is_saved_with_axes_size_and_provenance(result, tmp_path, suffix):
    path = tmp_path / f"saved{suffix}"
    PluginManager.instance().discover()
    layers = LayerList([result])
    assert layers.save(str(path), plugin="napari-cosdd") == [str(path)]
    image = read_image(path)
    assert image.axes == "TYX"
    assert dict(image.pixel_size) == {"Y": 0.2, "X": 0.1}
    np.testing.assert_array_equal(np.asarray(image.data), result.data)
    assert image.is_result
    if suffix == ".ome.tif":
        text = unescape(tifffile.tiffcomment(path))
        said = json.loads(text[text.index("{") : text.index("}") + 1])
        assert said["model"] == "m.safetensors"
        assert said["fill"] == "outliers"
        assert "key" not in said


def test_several_layers_get_files_of_their_own_and_replace_none(result, tmp_path):
    plain = ImageLayer(np.ones((5, 6)), name="raw")
    data = [layer.as_layer_data_tuple() for layer in (result, plain)]
    written = write_layers(str(tmp_path / "all.ome.tif"), data)
    assert [p.rsplit("/", 1)[-1] for p in written] == [
        "all-cells---mean.ome.tif",
        "all-raw.ome.tif",
    ]
    assert not read_image(tmp_path / "all-raw.ome.tif").is_result
    with pytest.raises(BadInputError, match="exists already"):
        write_layers(str(tmp_path / "all.ome.tif"), data)
