"""Settings that are decided once it is known what a training starts from."""

from napari_cosdd.settings.training import (
    FINE_TUNING_STEPS,
    STEPS_FROM_RANDOM,
    TrainingConfig,
)


def test_the_steps_depend_on_the_start_unless_they_are_given():
    assert TrainingConfig().resolved(fine_tuning=True).steps == FINE_TUNING_STEPS
    assert TrainingConfig().resolved(fine_tuning=False).steps == STEPS_FROM_RANDOM
    assert TrainingConfig(max_steps=7).resolved(fine_tuning=True).steps == 7
    limited = TrainingConfig(time_limit=2).resolved(fine_tuning=True)
    assert limited.steps > 1000 * STEPS_FROM_RANDOM
