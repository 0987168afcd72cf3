"""What the training does when something goes wrong, told by values alone."""

import pytest

from napari_cosdd.training.recovery import (
    JUDGED_STEPS,
    RESTARTS_ALLOWED,
    ROLLBACKS_ALLOWED,
    SKIPS_ALLOWED,
    Recovery,
)


def told(recovery, **given):
    usual = {
        "steps": JUDGED_STEPS,
        "share": 0.5,
        "progress": 0.5,
        "final": False,
        "has_sound_best": False,
    }
    return recovery.after_problem(**(usual | given))


def test_single_bad_updates_are_left_out_and_counted():
    recovery = Recovery()
    updates = [(0, 0), (1, 1), (0, 0), (1, 1)]
    assert [recovery.after_updates(*u) for u in updates] == ["go on"] * 4
    assert (recovery.skipped, recovery.skipped_in_row) == (2, 1)


def test_many_bad_updates_in_a_row_go_back_and_at_last_give_up():
    recovery = Recovery()
    verdicts = [
        recovery.after_updates(1, i % SKIPS_ALLOWED + 1)
        for i in range(SKIPS_ALLOWED * (ROLLBACKS_ALLOWED + 1))
    ]
    assert verdicts.count("go back") == ROLLBACKS_ALLOWED
    assert verdicts[SKIPS_ALLOWED - 1] == "go back"
    assert verdicts[-1] == "give up"
    assert verdicts.count("give up") == 1


@pytest.mark.parametrize("given", [{"steps": JUDGED_STEPS - 1}, {"share": 0.1}])
def test_a_young_start_is_not_judged(given):
    recovery = Recovery()
    assert told(recovery, **given) == "go on"
    assert recovery.restarts == 0


def test_a_collapse_starts_again_and_at_last_gives_up():
    recovery = Recovery()
    verdicts = [told(recovery) for _ in range(RESTARTS_ALLOWED + 1)]
    assert verdicts == ["start again"] * RESTARTS_ALLOWED + ["give up"]


@pytest.mark.parametrize("given", [{"progress": 0.61}, {"final": True}])
def test_a_late_collapse_keeps_what_was_sound_before(given):
    assert told(Recovery(), has_sound_best=True, **given) == "keep the best"
    assert told(Recovery(), **given) == "give up"


def test_at_the_end_a_young_start_is_judged_if_another_one_failed_before():
    assert told(Recovery(restarts=1), steps=3, final=True) == "give up"
    assert told(Recovery(), steps=3, final=True) == "go on"
