"""The files of a training: the model so far, and the state from which it goes on."""

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from napari_cosdd.errors import BadModelFileError, SavingError
from napari_cosdd.events import Event, Warned
from napari_cosdd.training.resume import (
    load_state,
    plain_generator_state,
    resume_path,
    save_state,
    set_generator_state,
)
from napari_cosdd.training.state import TrainingState

if TYPE_CHECKING:
    from napari_cosdd.training.run import TrainingRun


def due(run: "TrainingRun") -> bool:
    """Whether the state for resuming is old enough to be written again."""
    age = time.monotonic() - run.last_save
    return run.writes_to is not None and age > 60 * run.config.save_every


def save_or_warn(run: "TrainingRun") -> Iterator[Event]:
    """Save; if that fails, training goes on and saying so must do."""
    try:
        save(run)
    except SavingError as error:
        run.last_save = time.monotonic()
        yield Warned(f"{error}; training goes on, the last save stays")


def save(run: "TrainingRun") -> None:
    """Write the best model so far and the state for resuming.

    Raises
    ------
    SavingError
        If one of them could not be written.
    """
    if run.writes_to is None:
        return
    method, start = run.learner.method, run.start
    kept = {
        "training": vars(run.state),
        "learner": run.learner.state(),
        "crops": plain_generator_state(run.crops),
        "settings": _identity(run),
        "recipe": {
            "method": run.name,
            "settings": method.config.model_dump(),
            "training": run.config.model_dump(),
        },
        "start": None if start is None else start.plain(),
    }
    save_state(resume_path(run.writes_to), kept)
    if math.isfinite(run.state.best):
        run.best_model().save(run.writes_to)
        run.state.wrote_model = True
    run.last_save = time.monotonic()


def resume(run: "TrainingRun") -> None:
    """Go on from the state beside the model file.

    Raises
    ------
    BadModelFileError
        If there is none, or it belongs to other settings.
    """
    if run.output is None:
        raise BadModelFileError("to resume, name the model file to go on with")
    path = resume_path(run.output)
    kept = load_state(path)
    if kept.get("settings") != _identity(run):
        raise BadModelFileError(
            f"{path.name} belongs to a training with other settings or images, or "
            "from another start"
        )
    run.learner.restore(kept["learner"])
    run.state = TrainingState(**kept["training"])
    set_generator_state(run.crops, kept["crops"])


def _identity(run: "TrainingRun") -> dict[str, Any]:
    """Return what must be the same for a training to go on."""
    return {
        "method": run.learner.method.config.model_dump(),
        "spec": run.learner.method.spec.model_dump(),
        "start": run.trained_on.start,
        "images": run.trained_on.sha256,
        "crops": [*run.patches.crop, run.config.seed],
        "validation_share": run.config.validation_share,
    }
