import pytest

from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.schedule import Schedule

CONFIG = TrainingConfig(max_steps=100, anchored_steps=20, learning_rate=0.01)


def schedule(fine_tuning=True, can_be_freed=True, **changes):
    return Schedule(CONFIG.changed(changes), fine_tuning, can_be_freed)


def test_progress_is_by_steps_or_by_time_whichever_is_further():
    limited = schedule(time_limit=1.0)
    assert limited.progress(50, 15.0) == 0.5
    assert limited.progress(10, 45.0) == 0.75
    assert limited.progress(10, 99.0) == 1.0
    assert schedule().progress(10, 1e9) == 0.1


def test_trained_networks_are_anchored_and_then_free():
    assert [schedule().phase(n) for n in (0, 19, 20)] == [
        "anchored",
        "anchored",
        "free",
    ]
    assert schedule().anchored_share(5) == 0.25


@pytest.mark.parametrize(
    "kind", [schedule(can_be_freed=False), schedule(anchor=0.0)], ids=str
)
def test_what_cannot_be_judged_or_was_not_anchored_is_never_freed(kind):
    assert kind.phase(99) == "anchored"
    assert kind.anchored_share(99) == 0


def test_random_weights_are_not_anchored():
    assert schedule(fine_tuning=False).phase(99) == "from random weights"


def test_the_rate_rises_and_falls():
    rates = [schedule(warmup_steps=4).learning_rate(n / 100, n) for n in range(101)]
    assert rates[0] < rates[1] < rates[4]
    assert max(rates) == pytest.approx(0.01, rel=0.01)
    assert rates[100] < 1e-3 * max(rates) * 1.1
    assert rates[10:] == sorted(rates[10:], reverse=True)
