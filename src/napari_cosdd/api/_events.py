"""Streams of events, followed to their result."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from napari_cosdd.errors import CosddWarning
from napari_cosdd.events import Denoised, Event, Finished, Warned
from napari_cosdd.images.image import Image, doubts_of


def tell_doubts(
    images: Iterable[Image],
    given: Any,
    on_event: Callable[[Event], object] | None = None,
) -> None:
    """Tell what is doubtful about the reading of images, as warnings or events.

    Nothing is told of an Image that was given as such: who opened it knows.
    """
    listed = given if isinstance(given, (list, tuple)) else [given]
    if any(isinstance(one, Image) for one in listed):
        return
    for doubt in doubts_of(list(images)):
        if on_event is None:
            warnings.warn(doubt, CosddWarning, stacklevel=3)
        else:
            on_event(Warned(doubt))


def result_of(
    events: Iterable[Event], on_event: Callable[[Event], object] | None
) -> Any:
    """Return the result at the end of a training or denoising.

    Parameters
    ----------
    events : iterable of Event
        Its stream of events.
    on_event : callable or None
        Called with each event. If None, a Warned becomes a CosddWarning for the line
        that called the caller of this function.
    """
    for event in events:
        if on_event is not None:
            on_event(event)
        elif isinstance(event, Warned):
            warnings.warn(event.message, CosddWarning, stacklevel=3)
        if isinstance(event, (Finished, Denoised)):
            return event.result
    raise RuntimeError("the work ended without a result")
