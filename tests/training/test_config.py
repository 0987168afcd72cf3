"""Settings that are decided once it is known what a training starts from."""

from napari_cosdd.settings.training import ADAPTING, FROM_RANDOM, TrainingConfig


def test_the_steps_depend_on_the_start_unless_they_are_given():
    assert TrainingConfig().resolved(adapting=True).steps == ADAPTING
    assert TrainingConfig().resolved(adapting=False).steps == FROM_RANDOM
    assert TrainingConfig(max_steps=7).resolved(adapting=True).steps == 7
    limited = TrainingConfig(time_limit=2).resolved(adapting=True)
    assert limited.steps > 1000 * FROM_RANDOM
