"""The work of the job that trains."""

from collections.abc import Callable, Iterator
from pathlib import Path

from napari_cosdd import api
from napari_cosdd.events import Event


def training(
    request: api.TrainingRequest,
    path: Path,
    interrupted: Path | None,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """Train and write the model to a path; go on with an interrupted training."""
    if interrupted is not None:
        request = request.resuming(interrupted)
    job = request.prepare(stop)
    yield from job.run(output=path, resume=interrupted is not None, stop=stop)
