import numpy as np
import pytest

from napari_cosdd.datasets import survey
from napari_cosdd.errors import BadInputError, StoppedError
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.images.stack import Stack


def test_pixels_that_are_not_finite_are_counted():
    data = np.ones((4, 20, 20))
    data[1, 3, 4], data[2, :2, 0] = np.nan, np.inf
    with pytest.raises(BadInputError, match=r"3 of 1600 pixels.*--fill missing"):
        survey.check_finite([Stack(data, "TYX", 2)])


def test_boxes_cover_everything_once(monkeypatch):
    monkeypatch.setattr(survey, "BOX", {2: 7})
    stack = Stack(np.arange(2 * 15 * 20).reshape(2, 15, 20), "TYX", 2)
    seen = [stack.read(n, region).ravel() for n, region in survey.boxes(stack)]
    assert sorted(np.concatenate(seen).tolist()) == stack.data.ravel().tolist()


def surveyed(data, axes="YX"):
    found, stacks = survey.Survey(), [Stack(data, axes, 2)]
    parts = list(found.read(stacks))
    return found, found.summary(stacks, ["a"]), parts


def test_saturation_is_noticed():
    rng = np.random.default_rng(0)
    data = rng.normal(200, 30, (100, 100))
    assert surveyed(data)[0].saturation() is None
    assert "looks saturated" in surveyed(np.minimum(data, 255))[0].saturation()


def test_a_level_of_many_pixels_is_dark_if_it_is_the_lowest():
    rng = np.random.default_rng(0)
    photons = 40 * rng.poisson(0.8, (100, 100))
    assert "photons are counted" in surveyed(photons)[0].dark()
    coarse = np.round(rng.normal(10, 1.2, (100, 100)))  # most have one level, too
    assert surveyed(coarse)[0].dark() is None


def test_one_look_gives_pixels_levels_and_hash(monkeypatch):
    monkeypatch.setattr(survey, "BOX", {2: 7})
    data = np.arange(2 * 15 * 20, dtype=np.uint16).reshape(2, 15, 20)
    _, summary, parts = surveyed(data, "TYX")
    assert sorted(np.concatenate([p.ravel() for p in parts])) == data.ravel().tolist()
    np.testing.assert_allclose(summary.levels_1_50_99, [5.99, 299.5, 593.01])
    assert summary.sha256 == surveyed(data.copy(), "TYX")[1].sha256
    data[1, 14, 19] = 0
    assert summary.sha256 != surveyed(data, "TYX")[1].sha256


def test_the_look_counts_what_is_not_finite_and_can_be_stopped(monkeypatch):
    monkeypatch.setattr(survey, "BOX", {2: 7})
    data = np.ones((20, 20))
    data[0, 0], data[19, 3] = np.nan, np.inf
    stacks = [Stack(data, "YX", 2)]
    with pytest.raises(BadInputError, match=r"2 of 400 pixels"):
        list(survey.Survey().read(stacks))
    answers = iter([False, True])
    with pytest.raises(StoppedError):
        list(survey.Survey().read(stacks, lambda: next(answers)))


def test_images_with_other_channels_are_named():
    stacks = [Stack(np.ones((2, 9, 9)), "CYX", 2), Stack(np.ones((9, 9)), "YX", 2)]
    with pytest.raises(BadInputError, match="a has 2, b has 1"):
        survey.check_channels(stacks, ["a", "b"])


def test_hot_pixels_do_not_set_the_scale():
    rng = np.random.default_rng(0)
    data = rng.normal(500, 30, (256, 256))
    hot = data.copy()
    hot[[10, 99, 200], [7, 120, 250]] = 65535
    found, _, parts = surveyed(hot)
    assert Normalization.fit(parts).std[0] == pytest.approx(30, rel=0.15)
    assert "3 pixels are far beyond all others" in found.outliers()
    found, _, parts = surveyed(data)
    assert found.outliers() is None
    np.testing.assert_array_equal(parts[0][0], data)


def test_few_bright_spots_are_signal():
    data = np.random.default_rng(0).normal(100, 3, (256, 256))
    data[40:46, 40:46] += 5000
    assert surveyed(data)[0].outliers() is None


def test_marks_of_missing_pixels_are_refused():
    data = np.random.default_rng(0).normal(100, 3, (64, 64)).astype(np.float32)
    data[:20, :20] = -3.4e38
    with pytest.raises(BadInputError, match="look like marks of missing pixels"):
        surveyed(data)
