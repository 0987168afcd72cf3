import gc
import weakref

from helpers import build
from napari_cosdd import api
from napari_cosdd.training.memory import BASE, estimate_memory


def test_memory_grows_with_crop_and_micro_batch():
    method = build("cosdd")
    small = estimate_memory(method, (64, 64), 2) - BASE
    assert estimate_memory(method, (128, 128), 2) - BASE > 3 * small
    assert estimate_memory(method, (64, 64), 4) - BASE > 1.5 * small


def test_quick_trains_in_under_two_gigabytes():
    recipe = api.Recipe.preset()
    config = recipe.settings.changed({"noise_axis": "x", "receptive_field": 40})
    method = build("cosdd", **config.model_dump())
    crop = (recipe.training.crop_size,) * 2
    assert estimate_memory(method, crop, recipe.training.batch_size) < 2 << 30


def test_an_estimate_leaves_nothing_behind():
    """What the backward pass would need must not hold the graph that holds it."""
    method = build("cosdd")
    weight = weakref.ref(next(method.parameters()))
    estimate_memory(method, (64, 64), 2)
    del method
    gc.collect()
    assert weight() is None
