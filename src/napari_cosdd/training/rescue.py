"""What a training does when it goes wrong: roll back, start again, or give up."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from napari_cosdd.errors import PosteriorCollapseError, TrainingDivergedError
from napari_cosdd.events import Event, Warned
from napari_cosdd.training.learner import weights_of

if TYPE_CHECKING:
    from napari_cosdd.training.run import TrainingRun

#: Bad updates in a row before the weights are rolled back; roll-backs before the end.
SKIPS_ALLOWED, ROLLBACKS_ALLOWED = 20, 3
#: Fresh starts after a collapse.
RESTARTS_ALLOWED = 2
#: Later than this share, too little time is left for a fresh start.
RESTART_UNTIL = 0.6


def skip(run: "TrainingRun") -> Iterator[Event]:
    """Count a bad update; after many in a row go back to the last good state.

    Raises
    ------
    TrainingDivergedError
        If that was done often enough.
    """
    state = run.state
    state.skipped += 1
    state.skipped_in_row += 1
    if state.skipped_in_row < SKIPS_ALLOWED:
        return
    if state.rollbacks == ROLLBACKS_ALLOWED:
        kept = ""
        if run.writes_to is not None and math.isfinite(state.best):
            run.best_model().save_or_rescue(run.writes_to)
            kept = "; the best model before that was kept"
        raise TrainingDivergedError(
            f"training became unstable {ROLLBACKS_ALLOWED + 1} times, at last at "
            f"step {state.step}{kept}. Lower the learning rate, use fewer "
            "Gaussians, or clip outliers"
        )
    state.rollbacks += 1
    state.skipped_in_row = 0
    run.learner.restore(state.good)
    yield Warned(f"updates exploded at step {state.step}: back to the last good state")


def start_again(
    run: "TrainingRun", losses: Mapping[str, float], *, possible: bool
) -> Warned:
    """Begin anew with another seed: the latents carry no signal.

    Where that is no longer possible the training ends with the best model from
    before the collapse, if there is one.

    Raises
    ------
    PosteriorCollapseError
        If there is none.
    """
    numbers = (
        f"the latents explain {max(0.0, losses['explained']):.2f} of a signal "
        f"power of {losses['explainable']:.2f}"
    )
    state, late = run.state, run.progress > RESTART_UNTIL
    if late or not possible or state.restarts == RESTARTS_ALLOWED:
        if not state.best_collapsed:
            state.given_up = True
            return Warned(
                f"the posterior collapsed ({numbers}): the best model from before "
                "is kept; train again with another seed or a lower learning rate"
            )
        if run.writes_to is not None and state.wrote_model:
            run.writes_to.unlink(missing_ok=True)  # it may have collapsed already
        raise PosteriorCollapseError(
            f"the posterior collapsed after {state.restarts} fresh starts: {numbers}. "
            "Train longer, lower the learning rate, or use a shorter receptive "
            "field; the noise axis may also be the wrong one"
        )
    state.restarts += 1
    run.learner = run.new_learner(run.config.seed + 1000 * state.restarts)
    weights = weights_of(run.learner.method)
    state.begin_again(run.progress, weights, run.learner.state())
    return Warned(
        f"the posterior collapsed ({numbers}): starting again with another seed"
    )
