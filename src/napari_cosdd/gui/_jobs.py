"""Background jobs: event streams run in napari's workers, apart from any widget."""

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils import progress
from qtpy.QtCore import QObject, Signal

from napari_cosdd.devices import is_out_of_memory, one_at_a_time
from napari_cosdd.errors import CosddError, StoppedError
from napari_cosdd.events import Event
from napari_cosdd.threads import leave_a_core

State = Literal["running", "paused", "stopping", "done", "failed"]
#: Yields the events of a job; its argument returns True once the job must stop.
Work = Callable[[Callable[[], bool]], Iterator[Event]]
#: Events are handed to the window in bundles, this many seconds apart.
INTERVAL = 0.2
#: Time between two looks of a paused job at whether it was resumed, seconds.
POLL = 0.02


@dataclass(frozen=True, slots=True)
class Result(Event):
    """The value that a job was started for, where it is no training or denoising."""

    value: Any


class JobError(CosddError):
    """A job failed; the text is for the user, `details` for a bug report.

    napari's generator workers drop a RuntimeError, such as CUDA out of memory, without
    a signal. Every error of a job is therefore raised as a JobError.
    """

    def __init__(self, message: str, details: str) -> None:
        super().__init__(message)
        self.details = details


class Job(QObject):
    """One stream of events in a background thread.

    Signals come in the main thread: `advanced` with a tuple of events, `changed`
    after each change of `state`.

    Parameters
    ----------
    title : str
        Text in napari's activity dock.
    work : callable
        Yields the events; its argument returns True once the job must stop.

    Attributes
    ----------
    is_shown : callable
        Whether one of our docks shows the progress. napari's activity dock then does
        not: its turning wheel makes Qt draw the whole window 30 times a second, which
        takes a third of two cores where no GPU draws it.
    """

    advanced = Signal(object)
    changed = Signal()

    def __init__(self, title: str, work: Work) -> None:
        super().__init__()
        self.title = title
        self.state: State = "running"
        self.error: JobError | None = None
        self._work: Work | None = work
        self._stop = self._pause = False
        self.is_shown: Callable[[], bool] = lambda: False
        self._worker: Any = None
        self._bar: Any = None

    @property
    def active(self) -> bool:
        """Whether the job is running, paused or stopping."""
        return self.state in ("running", "paused", "stopping")

    def start(self) -> None:
        """Start the job in a background thread."""
        self.tell_progress(0.0)
        events = self._events()
        function = _Titled(_bundled, events, self)
        self._worker = worker = create_worker(
            function, _worker_class=_Worker, _ignore_errors=True
        )
        worker.events = events
        worker.yielded.connect(self.advanced)
        worker.errored.connect(self._failed)
        worker.finished.connect(self._ended)
        worker.start()

    def tell_progress(self, share: float) -> None:
        """Move the bar in napari's activity dock to `share`, 0 to 1."""
        if self.is_shown():
            self._close_bar()
            return
        if self._bar is None:
            self._bar = progress(total=100, desc=self.title)
        missing = round(100 * share) - self._bar.n
        if missing > 0:
            self._bar.update(missing)

    def stop(self) -> None:
        """Ask the job to end after the present step, and to keep its results."""
        self._stop = True
        if self.active:
            self._set("stopping")

    def pause(self) -> None:
        """Pause the job after the present step."""
        if self.state == "running":
            self._pause = True
            self._set("paused")

    def resume(self) -> None:
        """Resume a paused job."""
        if self.state == "paused":
            self._pause = False
            self._set("running")

    # From the worker's thread -------------------------------------------------

    def _events(self) -> Iterator[Event]:
        if self._work is None:
            return
        events = iter(self._work(self.should_stop))
        while True:
            with one_at_a_time():
                event = next(events, None)
            if event is None:
                return
            yield event

    @property
    def closing(self) -> bool:
        """Whether napari is closing and waits for the job to end."""
        return self._worker is not None and self._worker.abort_requested

    def should_stop(self) -> bool:
        """Whether the job must end: the user stopped it, or napari is closing."""
        return self._stop or self.closing

    def wait_while_paused(self) -> None:
        """Sleep until the user resumes or stops a paused job."""
        while self._pause and not self.should_stop():
            time.sleep(POLL)

    # From the main thread -----------------------------------------------------

    def _failed(self, error: Exception) -> None:
        self.error = error if isinstance(error, JobError) else _job_error(error)
        self._set("failed")

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _ended(self) -> None:
        self._close_bar()
        if self.state != "failed":
            self._set("done")
        self._let_go()

    def _let_go(self) -> None:
        """Drop work and connections, which keep images, layers and the viewer alive."""
        self._work = self._worker = None
        self.deleteLater()  # the Qt object with its connections; `state` stays

    def _set(self, state: State) -> None:
        self.state = state
        self.changed.emit()


class _Titled(partial):  # type: ignore[type-arg]
    """The function of a worker; napari asks "Executing …?" with its title."""

    def __repr__(self) -> str:
        return str(self.args[1].title)

    __str__ = __repr__


class _Worker(GeneratorWorker):
    """A worker whose work reaches its end, where it saves, when napari closes.

    napari's own worker never goes on after a yield during which it was told to quit.
    """

    events: Iterator[Event] = iter(())

    def work(self) -> Any:
        """Hand over the events; then take the work to its end."""
        result = super().work()
        for _ in self.events:
            pass
        return result


def _bundled(events: Iterator[Event], job: Job) -> Iterator[tuple[Event, ...]]:
    """Run the work in the worker's thread; yield its events in bundles.

    Nothing is yielded while napari closes, since its worker would not go on.
    """
    leave_a_core()
    pending: list[Event] = []
    last = time.monotonic()
    try:
        for event in events:
            pending.append(event)
            job.wait_while_paused()
            if time.monotonic() - last > INTERVAL and not job.closing:
                yield tuple(pending)
                pending, last = [], time.monotonic()
    except StoppedError:
        pass  # the user stopped the job
    except Exception as error:  # noqa: BLE001 - a worker drops RuntimeErrors
        if pending and not job.closing:
            yield tuple(pending)
        raise _job_error(error) from None
    if pending and not job.closing:
        yield tuple(pending)


def _job_error(error: Exception) -> JobError:
    """Return any error as a JobError; an unexpected one asks for a bug report."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, CosddError):
        return JobError(str(error), details)
    if is_out_of_memory(error):
        return JobError(
            "Memory ran out. Close other programs that use it, or choose a smaller "
            "tile, crop or batch size.",
            details,
        )
    return JobError(
        f"An unexpected error occurred ({type(error).__name__}: {error}). Files that "
        "were saved before are intact. Please copy the details into a bug report.",
        details,
    )
