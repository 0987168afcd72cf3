"""The part of the Noise dock that measures a camera's noise model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from napari.layers import Image as ImageLayer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cosdd import api
from napari_cosdd._formatting import grey_level
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.events import Event
from napari_cosdd.gui._jobs import Job, Result
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import axes_of, image_of
from napari_cosdd.gui._models import new_noise_model_path
from napari_cosdd.gui._plots import DensityPlot, VariancePlot
from napari_cosdd.gui._session import Session
from napari_cosdd.gui._widgets import (
    Problem,
    Sentence,
    button,
    choice,
    enable,
    field,
    fill,
)
from napari_cosdd.gui._wording import in_dock_words
from napari_cosdd.noise_models.measure import curves_of
from napari_cosdd.noise_models.registry import NOISE_MODELS, get_noise_model


class SignalFrom(NamedTuple):
    """What serves as the signal: its name, its kinds of noise models, a tooltip."""

    name: str
    kinds: tuple[str, ...]
    tip: str


ALONE = SignalFrom(
    "this image alone",
    ("poisson_gauss",),
    "The variance at each brightness is measured where the image is smooth",
)
FRAMES = SignalFrom(
    "repeated frames",
    ("mixture", "histogram", "poisson_gauss", "autoregressive"),
    "Eight or more frames of a scene that does not change; their mean is the signal",
)
CLEAN = SignalFrom(
    "a clean layer",
    ("mixture", "histogram", "poisson_gauss", "autoregressive"),
    "Another layer shows the same scene without noise, such as a denoised one",
)
DARK = SignalFrom(
    "a dark image",
    ("autoregressive",),
    "The image shows no signal: shutter closed, beam off or an empty field",
)
SOURCES = {source.name: source for source in (ALONE, FRAMES, CLEAN, DARK)}
WHY = (
    "PN2V, HDN, DivNoising and Autonoise take a noise model of the camera. One "
    "calibration serves all images of the same camera and settings."
)


class CalibrateView(QWidget):
    """Measures a noise model on the layer of the Noise dock, and shows its fit.

    Parameters
    ----------
    viewer : Viewer
        Lists the layers that may be clean.
    session : Session
        Offers the noise model to the Train dock.
    layer : callable
        Returns the layer of the Noise dock.
    """

    def __init__(
        self,
        viewer: Any,
        session: Session,
        layer: Callable[[], ImageLayer | None],
    ) -> None:
        super().__init__()
        self.session, self._layer = session, layer
        self._job: Job | None = None
        self._path: Path | None = None
        self._image = ""  # name of the layer that was measured
        self.source = choice(*SOURCES)
        self.kind = choice()
        self.clean = LayerChoice(viewer, none="choose a layer", results=True)
        self.run = button(
            "Calibrate", "Measure the noise model and save it", self._calibrate
        )
        self.variance = VariancePlot(viewer.theme)
        self.density = DensityPlot(viewer.theme)
        self.sentence, self.problem = Sentence(), Problem()
        self._build()
        self.source.currentTextChanged.connect(lambda _text: self._source_chosen())
        self._source_chosen()

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.clean_row = field("Clean", self.clean, tip="The same scene without noise")
        for widget in (
            Sentence(WHY),
            field("From", self.source, tip="What serves as the signal"),
            self.clean_row,
            field("Kind", self.kind, tip="Kind of noise model"),
            self.run,
            self.sentence,
            self.problem,
            self.variance,
            self.density,
        ):
            column.addWidget(widget)
        self.variance.setToolTip("Points: measured. Line: the noise model")
        self.density.setToolTip("How probable each grey level is at each signal")
        self.variance.hide()
        self.density.hide()

    @property
    def _source(self) -> SignalFrom:
        return SOURCES[self.source.currentText()]

    def _source_chosen(self) -> None:
        source = self._source
        self.source.setToolTip(source.tip)
        self.clean_row.setVisible(source is CLEAN)
        titles = {get_noise_model(kind).title: kind for kind in source.kinds}
        fill(self.kind, list(titles))

    def _calibrate(self) -> None:
        self.problem.show_error(None)
        titles = {get_noise_model(kind).title: kind for kind in NOISE_MODELS}
        kind = titles[self.kind.currentText()]
        try:
            layer = self._layer()
            if layer is None:
                raise BadInputError("Open an image first.")
            image = image_of(layer, axes_of(layer))
            clean = self._clean(image.axes)
            if self._source is FRAMES and not {"T", "S"} & set(image.axes):
                raise BadInputError("The image is no series of repeated frames.")
            path = new_noise_model_path(layer.name, kind)
        except (CosddError, OSError) as error:
            self.problem.show_error(error)
            return

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            yield Result(
                api.calibration(
                    image, clean=clean, kind=kind, output=path, repeats=repeats
                )
            )

        repeats = self._source is FRAMES
        self._path, self._image = path, layer.name
        self.sentence.setText("Calibrating …")
        enable(self.run, False, "A calibration is running")
        self._job = Job(f"calibrating {layer.name}", work)
        # Bound methods, since Qt disconnects only these when the widget is deleted.
        self._job.advanced.connect(self._take)
        self._job.changed.connect(self._job_changed)
        self._job.start()

    def _clean(self, axes: str) -> api.Image | None:
        """Return the clean layer as an image, if the source needs one."""
        if self._source is not CLEAN:
            return None
        if self.clean.layer is None:
            raise BadInputError("Choose the layer that shows the scene without noise.")
        return image_of(self.clean.layer, axes)

    def _take(self, events: tuple[Any, ...]) -> None:
        found: api.Calibration = events[-1].value
        curves = curves_of(found.model)
        low, high = found.model.signal_range
        warning = "" if found.warning is None else f" ⚠ {in_dock_words(found.warning)}"
        self.sentence.setText(
            f"Noise model ({found.model.title}) of {self._image}, for signals from "
            f"{grey_level(low)} to {grey_level(high)} grey levels. The Train dock "
            f"uses it where a method takes one.{warning}"
        )
        self.variance.show_variance(found.measured.signal, found.measured.variance)
        self.variance.show_fit(curves.signal, curves.variance)
        self.density.show_density(curves.density, curves.signal, curves.noisy_range)
        self.variance.show()
        self.density.show()
        if self._path is not None:
            self.sentence.setToolTip(str(self._path))
            self.session.add_noise_model(self._path)

    def _job_changed(self) -> None:
        job = self._job
        if job is None or job.active:
            return
        enable(self.run, True)
        if job.error is not None:
            self.sentence.setText("")
            self.problem.show_error(job.error)

    def set_theme(self, theme: str) -> None:
        """Take napari's colours."""
        self.variance.set_theme(theme)
        self.density.set_theme(theme)
