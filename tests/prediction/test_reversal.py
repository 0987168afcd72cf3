from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from helpers import tiny_recipe
from napari_cosdd import api
from napari_cosdd.images.stack import Stack
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction import margin
from napari_cosdd.prediction.sampling import test_time_views as views_of
from napari_cosdd.settings.prediction import PredictionConfig


def rows(innovations):
    """Let each event be followed by its afterglow, along rows."""
    return signal.lfilter([1], [1, -0.8], innovations, axis=-1)


@pytest.mark.parametrize(("law", "reversible"), [("normal", True), ("gamma", False)])
def test_an_afterglow_has_a_direction_and_gaussian_noise_has_none(law, reversible):
    rng = np.random.default_rng(0)
    shape = (4, 96, 128)
    drawn = rng.normal(size=shape) if law == "normal" else rng.gamma(0.3, 1, shape)
    recipe = tiny_recipe(max_steps=60, batch_size=4, learning_rate=0.03)
    *_, last = api.prepare_run([api.Image(rows(drawn), "SYX")], recipe).run()
    assert last.result.reversible is reversible


def test_only_reversible_noise_is_flipped_along_its_axis(model):
    config = PredictionConfig(n_samples=8)
    one_way, both_ways = (
        replace(model, reversible=False),
        replace(model, reversible=True),
    )
    assert [v.flipped for v in views_of(one_way, config)] == [(), (0,), (), (0,)]
    found = views_of(both_ways, config)
    assert [v.flipped for v in found] == [(), (0,), (1,), (0, 1)]
    assert sorted(d.number for v in found for d in v.draws) == list(range(8))


def test_a_model_file_knows_whether_its_noise_is_reversible(model, tmp_path):
    for reversible in (True, False):
        replace(model, reversible=reversible).save(tmp_path / "a.cosdd")
        assert TrainedModel.load(tmp_path / "a.cosdd").reversible is reversible
    prints = {replace(model, reversible=r).fingerprint for r in (True, False)}
    assert len(prints) == 2


def test_a_measured_margin_holds_what_shifted_views_lose(model, noisy, monkeypatch):
    source = Stack(noisy, "YX", 2)
    held = []
    for lost in (4, 8):  # one stride of the network and two
        monkeypatch.setattr(margin, "pixels_lost", lambda multiple, n=lost: n)
        held.append(np.array(margin.measure_margin(model, source)))
    np.testing.assert_array_equal(held[1] - held[0], 4)
