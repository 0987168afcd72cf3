import gc
import weakref

import pytest

from helpers import build
from napari_cosdd import api
from napari_cosdd.errors import NotEnoughMemoryError
from napari_cosdd.training import memory
from napari_cosdd.training.memory import (
    BASE,
    SHARE,
    MemoryPlan,
    fit_to_memory,
    measure_memory,
)


def test_memory_grows_with_crop_and_micro_batch():
    method = build("cosdd")
    small, large = (measure_memory(method, (side, side)) for side in (64, 128))
    assert large.crop > 3 * small.crop
    assert large.of(32) - large.of(16) == 16 * large.crop
    assert small.fixed > BASE
    assert small.of(1) == small.fixed + small.validation  # of larger images


def test_quick_trains_in_under_two_gigabytes():
    recipe = api.Recipe.preset()
    config = recipe.settings.changed({"noise_axis": "x", "receptive_field": 40})
    method = build("cosdd", **config.model_dump())
    crop = (recipe.training.crop_size,) * 2
    assert measure_memory(method, crop).of(recipe.training.batch_size) < 2 << 30


def test_an_estimate_leaves_nothing_behind():
    """What the backward pass would need must not hold the graph that holds it."""
    method = build("cosdd")
    weight = weakref.ref(next(method.parameters()))
    measure_memory(method, (64, 64))
    del method
    gc.collect()
    assert weight() is None


@pytest.fixture
def small_validation(monkeypatch):
    """Validation crops are no larger than training crops."""
    monkeypatch.setattr(memory, "validation_size", tuple)


def fitted(free, **given):
    """What is chosen for a batch of 16 crops of 64 pixels in so much memory."""
    return fit_to_memory(build("cosdd", n_channels=16), (64, 64), 16, free, **given)


def needs(micro_batch, *, saving):
    """Free memory that just suffices."""
    method = build("cosdd", n_channels=16)
    method.use_checkpointing(saving)
    return int(measure_memory(method, (64, 64)).of(micro_batch) / SHARE) + 1


def test_as_many_crops_as_fit_are_computed_at_a_time(small_validation):
    assert fitted(1 << 40) == MemoryPlan(16, False, fitted(1 << 40).memory)
    for n in (16, 8, 4, 2, 1):
        fit = fitted(needs(n, saving=False))
        assert (fit.micro_batch, fit.checkpointing) == (n, False)
        assert fit.memory <= SHARE * needs(n, saving=False)


def test_features_are_computed_twice_before_a_training_is_refused(small_validation):
    fit = fitted(needs(1, saving=True))
    assert (fit.micro_batch, fit.checkpointing) == (1, True)
    with pytest.raises(NotEnoughMemoryError, match="a single crop of 64 pixels needs"):
        fitted(needs(1, saving=True) - (1 << 20))


def test_what_would_fit_instead_is_said(small_validation):
    method = build("cosdd", n_channels=16)
    method.use_checkpointing(True)
    needed = measure_memory(method, (32, 32))
    free = int((needed.fixed + 1.1 * needed.crop) / SHARE)
    with pytest.raises(NotEnoughMemoryError, match="a crop size of 32 fits"):
        fitted(free)
    with pytest.raises(NotEnoughMemoryError, match="use a smaller preset"):
        fitted(BASE)


def test_a_micro_batch_that_the_user_set_is_kept():
    assert fitted(1 << 20, micro_batch=4).micro_batch == 4


def test_a_small_preset_fits_into_a_workstation_by_small_micro_batches():
    config = api.Recipe.preset("cosdd", "small").settings
    config = config.changed({"noise_axis": "x"})
    method = build("cosdd", **config.model_dump())
    fit = fit_to_memory(method, (256, 256), 16, 20 << 30)
    assert fit.micro_batch in (4, 8)
    assert not fit.checkpointing
