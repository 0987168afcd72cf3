import numpy as np
import pytest

from napari_cosdd.axes import Stack
from napari_cosdd.data import inspect
from napari_cosdd.errors import BadInputError


def test_pixels_that_are_not_finite_are_counted():
    data = np.ones((4, 20, 20))
    data[1, 3, 4], data[2, :2, 0] = np.nan, np.inf
    with pytest.raises(BadInputError, match=r"3 of 1600 pixels.*--mask"):
        inspect.check_finite([Stack(data, "TYX", 2)])


def test_boxes_cover_everything_once(monkeypatch):
    monkeypatch.setattr(inspect, "BOX", {2: 7})
    data = np.arange(2 * 15 * 20).reshape(2, 15, 20)
    seen = np.concatenate([p.ravel() for p in inspect.pixels([Stack(data, "TYX", 2)])])
    assert sorted(seen.tolist()) == data.ravel().tolist()


def test_saturation_is_noticed():
    rng = np.random.default_rng(0)
    data = rng.normal(200, 30, (100, 100))
    assert inspect.saturation([Stack(data, "YX", 2)]) is None
    clipped = Stack(np.minimum(data, 255), "YX", 2)
    assert "looks saturated" in (inspect.saturation([clipped]) or "")


def test_images_with_other_channels_are_named():
    stacks = [Stack(np.ones((2, 9, 9)), "CYX", 2), Stack(np.ones((9, 9)), "YX", 2)]
    with pytest.raises(BadInputError, match="a has 2, b has 1"):
        inspect.check_channels(stacks, ["a", "b"])
