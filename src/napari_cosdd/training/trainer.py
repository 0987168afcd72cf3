"""The training loop: a generator of events that saves whatever happens."""

from collections.abc import Callable, Iterator

from napari_cosdd.devices import told_if_lost
from napari_cosdd.events import Event
from napari_cosdd.training import keeping
from napari_cosdd.training.run import TrainingRun


def train(
    run: TrainingRun,
    *,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a method; the last event is Finished, with the trained model.

    The model so far is written now and then; the last one is whoever's it is.

    Parameters
    ----------
    run : TrainingRun
        At its first step.
    resume : bool
        Go on from the state beside the model file. On a CPU and without a time limit
        the result is bit for bit that of an uninterrupted training.
    stop : callable
        Polled after every step; True ends the training in good order.

    Raises
    ------
    TrainingDivergedError, PosteriorCollapseError, NotEnoughMemoryError,
    DeviceLostError
        What was learned before is in the files.
    """
    if resume:
        keeping.resume(run)
    with told_if_lost("go on from the last save with --resume"):
        yield run.started()
        if run.state.step == 0:
            yield run.preview()
        reason = run.finished(stop)
        while reason is None:
            yield from run.step()
            if run.validation_due():
                yield from run.validate()
            if keeping.due(run):
                yield from keeping.save_or_warn(run)
            reason = run.finished(stop)
        yield from run.finish(reason)
