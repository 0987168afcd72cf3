"""Streams of events, followed to their result."""

from collections.abc import Callable, Iterable
from typing import Any

from napari_cosdd.events import Denoised, Event, Finished


def result_of(
    events: Iterable[Event], on_event: Callable[[Event], object] | None
) -> Any:
    """Return the result at the end of a training or denoising.

    Parameters
    ----------
    events : iterable of Event
        Its stream of events.
    on_event : callable or None
        Called with each event.
    """
    for event in events:
        if on_event is not None:
            on_event(event)
        if isinstance(event, (Finished, Denoised)):
            return event.result
    raise RuntimeError("the work ended without a result")
