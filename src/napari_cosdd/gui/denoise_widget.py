"""The Denoise dock: mean, deviation and samples of a layer, and their comparison."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from qtpy.QtWidgets import QFileDialog

from napari_cosdd.api import denoising
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.events import Event
from napari_cosdd.gui._before_after import BeforeAfter
from napari_cosdd.gui._channels import ChannelRow, n_channels
from napari_cosdd.gui._checks import Subject, TrustView
from napari_cosdd.gui._compare import CompareView
from napari_cosdd.gui._denoising_bar import DenoisingBar
from napari_cosdd.gui._dock import Dock
from napari_cosdd.gui._fit import FitView
from napari_cosdd.gui._folder import denoising_folder
from napari_cosdd.gui._jobs import Job
from napari_cosdd.gui._layer_choice import LayerChoice
from napari_cosdd.gui._layers import (
    axes_for,
    current_plane,
    image_of,
    key_of,
    layer_with,
    pixels_key,
)
from napari_cosdd.gui._model_row import ModelRow
from napari_cosdd.gui._models import ModelEntry, filling
from napari_cosdd.gui._records import DenoisingRecord
from napari_cosdd.gui._region import RegionRow
from napari_cosdd.gui._results import ResultLayers
from napari_cosdd.gui._samples_form import SamplesForm
from napari_cosdd.gui._saving import SaveAll
from napari_cosdd.gui._session import session_of
from napari_cosdd.gui._widgets import (
    Problem,
    Sentence,
    button,
    enable,
    field,
    listen,
    row,
)
from napari_cosdd.images.image import Image
from napari_cosdd.prediction.result_files import made_with

if TYPE_CHECKING:
    import napari

NO_MODEL = "Train a model first, or open a model file."


class DenoiseWidget(Dock):
    """Denoises a layer with a model, and compares the solutions."""

    place = 2

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.viewer, self.session = viewer, session_of(viewer)
        self._scored: DenoisingRecord | None = None
        self._told: DenoisingRecord | None = None
        self._waiting = False  # for the end of a check
        self._judged_layer: ImageLayer | None = None
        self.fit = FitView()
        self.status, self.problem = Sentence(), Problem()
        self.model = ModelRow(self.session, self._to_denoise, self.problem, self.status)
        self.folder = button(
            "Folder…", "Denoise all images of a folder", self._denoise_folder
        )
        self.image = LayerChoice(viewer)
        tip = "Shapes or labels that mark what to denoise; the rest stays as it is"
        self.region = RegionRow(viewer, tip)
        self.channels = ChannelRow()
        self.samples = SamplesForm(self.session)
        self.run = button(
            "Denoise", "Draw posterior samples and take their mean", self._denoise
        )
        self.cancel = button("Cancel", "Stop; finished parts stay", self._cancel)
        self.save = SaveAll(self.session)
        self.bar = DenoisingBar()
        self.compare = CompareView(viewer, viewer.theme)
        self.before_after = BeforeAfter(viewer, self.compare)
        self.trust = TrustView(
            self.session, viewer.theme, self._to_check, self._to_denoise
        )
        self._build()
        self.image.chosen.connect(self._image_chosen)
        self.compare.reference.chosen.connect(self._refresh)
        self.channels.changed.connect(self._channels_chosen)
        self.model.changed.connect(self._refresh)
        self.model.listed.connect(self._image_chosen)
        self.session.denoising_changed.connect(self._refresh)
        self.session.checked.connect(self._checked)
        self.session.denoise_layer.connect(self._take_over)
        listen(self, viewer.events.theme, self._theme_changed)
        self._image_chosen()

    def _build(self) -> None:
        for widget in (
            self.model,
            field(
                "Image",
                self.image,
                self.image.pin,
                self.folder,
                tip="Noisy image to denoise",
            ),
            self.fit,
            self.channels,
            self.region,
            self.samples,
            self.status,
            self.problem,
            self.before_after,
            self.compare,
            self.save,
            self.trust,
        ):
            self.rows.addWidget(widget)
        self.rows.addStretch(1)
        self.footer.addWidget(self.bar)
        self.footer.addWidget(row(self.run, self.cancel, stretch=0))

    def front_changed(self) -> None:
        """Show the present state when the dock comes to the front."""
        if self.in_front:
            self._refresh()

    # What the user does -------------------------------------------------------

    def _denoise(self) -> None:
        checking = self.session.checking
        if checking is not None and checking.job.active:
            self._waiting = True
            checking.job.stop()
            return
        self._waiting = False
        self.problem.show_error(None)
        layer, entry = self.image.layer, self.model.entry()
        if layer is None or entry is None:
            return
        try:
            model = entry.load()
            image, offset = self._to_denoise(), self.channels.offset(self._whole())
            region = self.region.mask(layer)
            config = self.samples.config()
        except CosddError as error:
            self.problem.show_error(error)
            return
        self.image.choose(layer)  # no longer follow the active layer
        if self.samples.plane.isChecked():
            keep = "CZYX" if model.spec.ndim == 3 else "CYX"
            plane = current_plane(layer, image.axes, self.viewer.dims.point, keep)
            starts = [s.start or 0 for s in plane]
            offset = [a + b for a, b in zip(starts, offset or [0] * 6, strict=False)]
            image = image.with_data(image.data[plane], image.name)
        name = entry.name if entry.path is None else entry.path.name
        made_by = made_with(name, model, config, filling(model))
        results = ResultLayers(
            self.viewer,
            layer,
            offset=offset,
            provenance=made_by,
            replace=self.samples.replace.isChecked(),
            stacked=self.samples.stacked.isChecked(),
        )

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            yield from denoising(
                model,
                image,
                config,
                fill=filling(model),
                region=region,
                stop=stop,
            )

        record = DenoisingRecord(image.name, made_by)
        self.session.denoise(Job(f"denoising {image.name}", work), record, results)

    def _denoise_folder(self) -> None:
        """Ask for the folders of images and of results, and denoise."""
        ask = QFileDialog.getExistingDirectory
        source = ask(self, "Folder of noisy images")
        target = source and ask(self, "Folder for the results", source)
        if target:
            self.denoise_folder(Path(source), Path(target))

    def denoise_folder(self, source: Path, target: Path) -> None:
        """Write mean and deviation of all images of a folder into another one."""
        self.problem.show_error(None)
        entry = self.model.entry()
        if entry is None:
            self.problem.show_error(BadInputError(NO_MODEL))
            return
        try:
            config = self.samples.config(n_kept=0)
        except CosddError as error:
            self.problem.show_error(error)
            return

        def work(stop: Callable[[], bool]) -> Iterator[Event]:
            yield from denoising_folder(source, target, entry, config, stop)

        record = DenoisingRecord(source.name, folder=target)
        self.session.denoise(Job(f"denoising {source.name}", work), record, None)

    def _checked(self) -> None:
        """Show the check; start the denoising that waited for its end."""
        self._refresh()
        checking = self.session.checking
        if self._waiting and checking is not None and not checking.job.active:
            self._denoise()

    def _to_check(self) -> Subject | None:
        """Return the model and the layers of a model check."""
        layer, entry = self.image.layer, self.model.entry()
        if layer is None or entry is None:
            return None
        axes = self.session.axes.get(key_of(layer), "")
        part = f"{axes} {self.channels.choice.currentText()}"
        return Subject(layer, entry, self.compare.reference.layer, part)

    def _to_denoise(self) -> Image:
        """Return the chosen image, or the channel of it that is taken."""
        return self.channels.taken(self._whole())

    def _whole(self) -> Image:
        """Return the chosen image with axes as the chosen model needs them."""
        layer, entry = self.image.layer, self.model.entry()
        if layer is None or entry is None:
            raise BadInputError(NO_MODEL)
        given = self.session.axes.get(key_of(layer), "")
        return image_of(layer, axes_for(layer, entry.load().spec, given))

    def _cancel(self) -> None:
        if self.session.denoising is not None:
            self.session.denoising.job.stop()

    def _take_over(self, key: str, model: str) -> None:
        """Choose the image and the model of a training."""
        self.model.take(model)
        layer = layer_with(self.viewer.layers, key)
        self.image.choose(layer)
        if key and layer is None:
            gone = "The image of the training was removed. Choose the image to denoise."
            self.problem.show_error(BadInputError(gone))

    def _image_chosen(self) -> None:
        """Offer the model that was trained on the image, unless one was chosen."""
        self.problem.show_error(None)
        if self.image.layer is not None:
            self.model.offer(self.image.layer.name)
        self._refresh()

    # What is shown ------------------------------------------------------------

    def _show_fit(self) -> None:
        """Say before the run whether the model is for the image."""
        layer, entry = self.image.layer, self.model.entry()
        key = (
            None
            if layer is None
            else (pixels_key(layer), self.model.choice.currentText())
        )
        if layer is None or entry is None:
            self.fit.hide()
        elif self.in_front and not self.fit.is_of(key):
            with suppress(CosddError):  # the fit says it
                self._offer_channels(layer, entry)
            self.fit.judge(key, entry, self._to_denoise)

    def _refresh(self) -> None:
        layer, entry = self.image.layer, self.model.entry()
        self.model.choice.setToolTip(str(entry.path or "") if entry is not None else "")
        running = self.session.denoising
        active = running is not None and running.job.active
        why = "A denoising is running" if active else NO_MODEL
        if entry is not None and not active:
            why = "Open an image first"
        ready = layer is not None and entry is not None
        enable(self.run, ready and not active, why)
        enable(self.folder, entry is not None and not active, why)
        enable(self.cancel, active, "Nothing is being denoised")
        self.samples.allow_plane(layer is not None and layer.ndim > 2)
        self.save.refresh()
        if running is None:
            self.status.setText(NO_MODEL if entry is None else "")
        else:
            self._show_record(*running)
        if layer is not None:
            self.compare.show_source(layer)
        self.before_after.refresh()
        self._show_fit()
        self.trust.refresh()

    def _offer_channels(self, layer: ImageLayer, entry: ModelEntry) -> None:
        """Show what a model of one channel can do with several."""
        image = self._whole()
        n = n_channels(image.axes, image.data.shape)
        alone = entry.load().spec.n_channels == 1
        self.channels.blockSignals(True)
        self.channels.show_channels(n if alone else 1, together=False)
        wanted = self.session.channels.get(key_of(layer))
        if wanted is not None and self._judged_layer is not layer:
            self.channels.choice.setCurrentText(wanted)
        self._judged_layer = layer
        self.channels.blockSignals(False)

    def _channels_chosen(self) -> None:
        self.fit.forget()
        self._refresh()

    def _show_record(self, job: Job, record: DenoisingRecord) -> None:
        self.bar.show_record(record, job.state)
        if not job.active and record is not self._scored:
            self._scored = record
            self.compare.update_scores()
            if self.session.check_results and self._is_of_choice(record):
                self.trust.check()
        if job.error is not None and record is not self._told:
            self._told = record  # once: the error does not concern the next layer
            self.problem.show_error(job.error)
        self.status.setText("\n".join(f"⚠ {w}" for w in record.warnings[-3:]))

    def _is_of_choice(self, record: DenoisingRecord) -> bool:
        """Whether a record is a whole result of the chosen model and image."""
        entry, layer = self.model.entry(), self.image.layer
        if not record.complete or layer is None or entry is None or entry.model is None:
            return False
        if entry.model.spec.grid:  # which no check takes
            return False
        same = record.provenance.get("model_hash") == entry.model.fingerprint
        return same and record.image == layer.name

    def _theme_changed(self, event: Any = None) -> None:
        for plot in (self.compare.bars, self.trust.coverage):
            plot.set_theme(self.viewer.theme)
