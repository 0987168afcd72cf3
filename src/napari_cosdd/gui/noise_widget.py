"""The Noise dock: whether the noise is correlated, and along which axis."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox

from napari_cosdd.api import NoiseReport, analyze
from napari_cosdd.errors import CosddError
from napari_cosdd.events import Event
from napari_cosdd.gui._calibrate import CalibrateView
from napari_cosdd.gui._dock import Dock
from napari_cosdd.gui._jobs import Job, Result
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import (
    axes_of,
    data_of,
    image_of,
    key_of,
    pixels_key,
)
from napari_cosdd.gui._overlay import hide_bar, show_bar
from napari_cosdd.gui._plots import CorrelationMap, ProfilePlot, VariancePlot
from napari_cosdd.gui._rectangle import NoiseRectangle
from napari_cosdd.gui._session import open_dock, session_of
from napari_cosdd.gui._widgets import (
    Folded,
    Heading,
    Problem,
    Sentence,
    button,
    choice,
    enable,
    field,
    listen,
    row,
)
from napari_cosdd.gui._wording import in_dock_words
from napari_cosdd.methods.advice import advise, headline

if TYPE_CHECKING:
    import napari

AUTOMATIC, DRAWN, FRAMES = "flat patches (automatic)", "a rectangle", "repeated frames"
NOTHING = "Open an image: File → Open, or File → Open Sample → COSDD denoising."
#: Time without a change of the rectangle before it is analyzed, milliseconds.
REST = 250


class NoiseWidget(Dock):
    """Shows how the noise of a layer is correlated, and which method suits it."""

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.viewer, self.session = viewer, session_of(viewer)
        self._job: Job | None = None
        self._looked_at: ImageLayer | None = None
        self._again = False
        self._pixels: tuple[str, int] | None = None
        theme = viewer.theme
        self.image = LayerChoice(viewer)
        self.where = choice(AUTOMATIC, DRAWN, FRAMES)
        self.map, self.profiles = CorrelationMap(theme), ProfilePlot(theme)
        self.variance = VariancePlot(theme)
        self.headline, self.sentence = Heading(""), Sentence(NOTHING)
        self.headline.setWordWrap(True)
        self.reasons, self.problem = Sentence(), Problem()
        self.why = Folded("Why?")
        self.bar = QCheckBox("bar over the image")
        self.bar.setChecked(True)
        self.bar.setToolTip(
            "Red: positive correlation, blue: negative; one cell per pixel"
        )
        self.use = button(
            "Use for training →", "Open the Train dock with these findings", self._use
        )
        self.rectangle = NoiseRectangle(viewer, self)
        self.calibrate = CalibrateView(viewer, self.session, lambda: self.image.layer)
        self._build()
        self._rest = QTimer(self, singleShot=True, interval=REST)
        self._rest.timeout.connect(self.analyze)
        self.rectangle.moved.connect(self._rest.start)
        self.image.chosen.connect(self._layer_chosen)
        self.image.emptied.connect(self._show_nothing)
        self.where.currentTextChanged.connect(self._where_chosen)
        self.bar.toggled.connect(self._show_bar)
        listen(self, viewer.events.theme, self._theme_changed)
        self._layer_chosen()

    def _build(self) -> None:
        self.rows.addWidget(
            field(
                "Image", self.image, self.image.pin, tip="Image whose noise is measured"
            )
        )
        self.rows.addWidget(
            field(
                "Seen in",
                self.where,
                tip="Where there is noise and no signal: patches found automatically, "
                "a rectangle that you draw, or differences of repeated frames",
            )
        )
        for widget in (self.headline, self.sentence, self.problem, self.why):
            self.rows.addWidget(widget)
        self.map.setFixedHeight(200)
        for widget in (
            self.reasons,
            Heading("Autocorrelation of the noise"),
            self.map,
            self.profiles,
            Heading("Does the noise grow with the signal?"),
            self.variance,
        ):
            self.why.addWidget(widget)
        self.camera = Folded("Calibrate the camera")
        self.camera.addWidget(self.calibrate)
        self.rows.addWidget(self.camera)
        self.rows.addStretch(1)
        self.footer.addWidget(row(self.bar, self.use, stretch=1))
        self._show_nothing()

    def front_changed(self) -> None:
        """Look at the noise when in front; take the bar off the image when not."""
        found = self.session.report(self.image.layer)
        if not self.in_front:
            hide_bar(self.viewer)
        elif found is None:
            self._rest.start()
        else:
            self._show_report(found)
            self._show_bar()

    # What the user does -------------------------------------------------------

    def analyze(self) -> None:
        """Analyze the noise in the background; a call meanwhile starts it once more."""
        layer = self.image.layer
        if layer is None:
            self._show_nothing()
            return
        if not self.in_front:
            return  # analyzed when the dock comes to the front
        if self._job is not None and self._job.active:
            self._again = True
            return
        try:
            image = image_of(layer, axes_of(layer))
            drawn = self.where.currentText() == DRAWN
            region = self.rectangle.region(layer) if drawn else None
        except CosddError as error:
            self._show_error(error)
            return
        frames = self.where.currentText() == FRAMES

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            found = analyze(image, region=region, frames=frames, fill="missing")
            yield Result(found)

        self._say("", f"Analyzing the noise of {layer.name} …")
        self._job = Job(f"noise of {layer.name}", work)
        self._looked_at, self._pixels = layer, pixels_key(layer)
        # Bound methods, since Qt disconnects only these when the dock is deleted.
        self._job.advanced.connect(self._take)
        self._job.changed.connect(self._job_changed)
        self._job.start()

    def _layer_chosen(self) -> None:
        layer = self.image.layer
        hide_bar(self.viewer)  # of another layer
        repeats = layer is not None and data_of(layer).ndim > 2
        item = self.where.model().item(2)
        item.setEnabled(repeats)
        if not repeats and self.where.currentText() == FRAMES:
            self.where.setCurrentText(AUTOMATIC)
        elif layer is not None and self.where.currentText() == DRAWN and self.in_front:
            self.rectangle.draw(layer)
        self.analyze()

    def _where_chosen(self, where: str) -> None:
        layer = self.image.layer
        if layer is not None and where == DRAWN:
            self.rectangle.draw(layer)
        elif layer is not None:
            self.rectangle.remove(layer)
        self.analyze()

    def _use(self) -> None:
        layer = self.image.layer
        if layer is not None:
            open_dock(self.viewer, "Train")
            self.session.use_noise.emit(key_of(layer))

    # What is shown ------------------------------------------------------------

    def _take(self, events: tuple[Any, ...]) -> None:
        layer = self._looked_at
        if layer is not None and pixels_key(layer) == self._pixels:
            self._found(layer, events[-1].value)  # else it is of pixels that are gone

    def _found(self, layer: ImageLayer, found: NoiseReport) -> None:
        self.session.add_report(layer, found)
        chosen = self.image.layer
        if chosen is not None and key_of(chosen) == key_of(layer):
            self._show_report(found)
            self._show_bar()

    def _show_report(self, found: NoiseReport) -> None:
        self._show_error(None)
        correlation = found.correlation
        self.map.show_map(correlation.values)
        self.profiles.show_profiles(
            correlation.along_x, correlation.along_y, 2 * correlation.standard_error
        )
        self.variance.show_variance(found.dependence.signal, found.dependence.variance)
        grows = (
            "The noise grows with the signal."
            if found.dependence.grows
            else "The noise is about the same at every brightness."
        )
        self._say(
            headline(found.facts), " ".join(filter(None, (grows, found.left_out)))
        )
        self.reasons.setText(in_dock_words(advise(found.facts)))
        self.why.show()
        enable(self.use, True)

    def _say(self, headline: str, sentence: str) -> None:
        self.headline.setText(headline)
        self.headline.setVisible(bool(headline))
        self.sentence.setText(sentence)

    def _show_bar(self) -> None:
        layer = self.image.layer
        if layer is None:
            return
        found = self.session.report(layer)
        if self.bar.isChecked() and found is not None and self.in_front:
            show_bar(self.viewer, layer, found)
        elif not self.bar.isChecked():
            hide_bar(self.viewer)

    def _job_changed(self) -> None:
        job = self._job
        if job is None or job.active:
            return
        if job.error is not None:
            self._show_error(job.error)
        if self._again:
            self._again = False
            self.analyze()

    def _show_nothing(self) -> None:
        self._show_error(None)
        hide_bar(self.viewer)
        self._say("", self.image.why_empty() or NOTHING)
        self.why.hide()
        self.camera.setVisible(self.image.layer is not None)
        enable(self.use, False, "Open an image first")

    def _show_error(self, error: Exception | None) -> None:
        self.problem.show_error(error)
        self.camera.show()
        if error is not None:
            self._say("", "")
            hide_bar(self.viewer)
            self.why.hide()  # its plots are of other pixels
            enable(self.use, False, "The noise could not be measured")

    def _theme_changed(self, event: Any = None) -> None:
        for plot in (self.map, self.profiles, self.variance, self.calibrate):
            plot.set_theme(self.viewer.theme)
