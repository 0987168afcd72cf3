"""Estimate of a training's time and memory, from a few steps in the background."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from qtpy.QtCore import QTimer

from napari_cosdd import api
from napari_cosdd.errors import CosddError
from napari_cosdd.events import Event
from napari_cosdd.gui._jobs import Job, Result
from napari_cosdd.gui._widgets import Sentence

#: Time without a change of settings before an estimate starts, milliseconds.
REST = 600
#: Smallest side of the part of the image used for the estimate, pixels.
TRIED = 256


class EstimateLine(Sentence):
    """Times a few steps with the present settings, and shows the estimate for all.

    Parameters
    ----------
    wanted : callable
        Returns the training of an Image, or None if there is nothing to estimate.
    """

    def __init__(self, wanted: Callable[[], api.TrainingRequest | None]) -> None:
        super().__init__()
        self._wanted = wanted
        self._job: Job | None = None
        #: Seconds that the training was estimated to take; None: not known.
        self.seconds: float | None = None
        self._rest = QTimer(self, singleShot=True, interval=REST)
        self._rest.timeout.connect(self._try)

    def soon(self) -> None:
        """Start an estimate `REST` after the last call of this method."""
        self._rest.start()

    def _try(self) -> None:
        if self._job is not None and self._job.active:
            self.soon()
            return
        self.seconds = None
        try:
            wanted = self._wanted()
        except CosddError:
            wanted = None  # the Train button shows this error
        if wanted is None:
            self.setText("")
            return
        trial = _small(wanted)

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            yield Result(trial.prepare(stop).estimate())

        self.setText("Estimating the time of the training …")
        self._job = job = Job("estimating the time of the training", work)
        # Bound methods, since Qt disconnects only these when the widget is deleted.
        job.advanced.connect(self._show)
        job.changed.connect(self._show_error)
        job.start()

    def _show(self, events: tuple[Any, ...]) -> None:
        self.seconds = events[-1].value.seconds
        self.setText(str(events[-1].value))

    def _show_error(self) -> None:
        if self._job is not None and self._job.error is not None:
            self.setText(f"⚠ {self._job.error}")


def _small(request: api.TrainingRequest) -> api.TrainingRequest:
    """Return a training on the middle of the image, whose steps cost the same."""
    side = max(TRIED, 2 * request.recipe.training.crop_size)
    return replace(
        request,
        recipe=request.recipe.changed(training={"grid": 1}),
        images=_middle(request.images, side),
        targets=_middle(request.targets, side),
        validation=None,
        region=None,
        fill="missing",
    )


def _middle(image: Any, side: int) -> Any:
    """Return the middle of an image, large enough to try a few steps on."""
    if not isinstance(image, api.Image):
        return image
    at = []
    for letter, n in zip(image.axes, image.data.shape, strict=True):
        keep = {"Y": side, "X": side, "C": n, "Z": min(n, 32)}.get(letter, 1)
        first = max(0, (n - keep) // 2)
        at.append(slice(first, first + keep))
    return image.with_data(image.data[tuple(at)], image.name)
