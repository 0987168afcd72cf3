"""The training loop: a generator of events that saves whatever happens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from napari_cosdd.data.patches import Patches
from napari_cosdd.events import Event
from napari_cosdd.methods.base import Method
from napari_cosdd.training.config import TrainingConfig
from napari_cosdd.training.run import TrainingRun


def train(
    name: str,
    build: Callable[[], Method],
    patches: Patches,
    config: TrainingConfig,
    device: torch.device,
    *,
    output: Path | None = None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    trained_on: dict[str, Any] | None = None,
) -> Iterator[Event]:
    """Train a method; the last event is Finished, with the trained model.

    Parameters
    ----------
    name : str
        Of the method, as in METHODS.
    build : callable
        Makes the method with fresh random weights.
    patches : Patches
        Training and validation crops.
    config : TrainingConfig
        Settings.
    device : torch.device
        Where to compute.
    output : Path, optional
        Model file. It and the state for resuming are written every
        `config.save_every` minutes and at the end.
    resume : bool
        Go on from the state beside `output`. On a CPU and without a time limit the
        result is bit for bit that of an uninterrupted training.
    stop : callable
        Polled after every step; True ends the training in good order.
    trained_on : dict, optional
        Summary of the data for the model file.

    Raises
    ------
    TrainingDivergedError, PosteriorCollapseError, NotEnoughMemoryError
        What was learned before is in the files.
    """
    run = TrainingRun(name, build, patches, config, device, output, trained_on or {})
    if resume:
        run.resume()
    yield run.started()
    if run.step_count == 0:
        yield run.preview()
    reason = run.finished(stop)
    while reason is None:
        yield from run.step()
        if run.validation_due():
            yield from run.validate()
        if run.save_due():
            yield from run.save_or_warn()
        reason = run.finished(stop)
    yield from run.finish(reason)
