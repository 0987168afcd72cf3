import math

import pytest

from napari_cosdd.training.state import BestWeights, TrainingState


def test_the_least_criterion_is_the_best_and_others_make_it_stale():
    best = BestWeights({})
    assert not best.exists
    assert [best.improves(c, False) for c in (3.0, 2.0, 2.5, 2.0, 1.0)] == [
        *(True, True, False, False, True)
    ]
    assert (best.criterion, best.stale) == (1.0, 0)
    assert best.exists


def test_weights_without_a_problem_beat_any_with_one():
    best = BestWeights({})
    assert best.improves(-5.0, True)
    assert best.improves(7.0, False)
    assert not best.improves(-9.0, True)
    assert not best.has_problem


@pytest.mark.parametrize("criterion", [math.nan, math.inf])
def test_what_is_not_finite_is_never_the_best(criterion):
    best = BestWeights({})
    assert not best.improves(criterion, False)
    assert not best.exists


def test_history_has_columns_of_equal_length():
    state = TrainingState(BestWeights({}), {})
    state.record({"loss": 1.0})
    state.step = 3
    state.record({"loss": math.nan, "kl": 2.0})
    assert state.history["step"] == [0, 3]
    assert state.history["loss"] == [1.0, None]
    assert state.history["kl"] == [None, 2.0]


def test_a_fresh_start_forgets_what_was_best_and_counts_from_there():
    state = TrainingState(BestWeights({"a": 1}, 0.5, False, 3), {}, step=40)
    state.start_again(0.25, {"b": 2}, {"c": 3})
    assert state.best == BestWeights({"b": 2})
    assert (state.steps_since_start, state.sound) == (0, {"c": 3})
    assert state.share_since_start(0.25) == 0
    assert state.share_since_start(0.625) == pytest.approx(0.5)
