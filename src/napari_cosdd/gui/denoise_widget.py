"""The Denoise dock: mean, deviation and samples of a layer, and their comparison."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog

from napari_cosdd.api import denoising
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.events import Event
from napari_cosdd.gui._before_after import BeforeAfter
from napari_cosdd.gui._checks import Subject, TrustView
from napari_cosdd.gui._compare import CompareView
from napari_cosdd.gui._denoising_bar import DenoisingBar
from napari_cosdd.gui._dock import Dock
from napari_cosdd.gui._folder import denoising_folder
from napari_cosdd.gui._jobs import Job
from napari_cosdd.gui._layers import key_of, layer_with
from napari_cosdd.gui._model_row import ModelRow
from napari_cosdd.gui._models import filling
from napari_cosdd.gui._records import DenoisingRecord
from napari_cosdd.gui._results import ResultLayers
from napari_cosdd.gui._samples_form import SamplesForm
from napari_cosdd.gui._saving import SaveAll
from napari_cosdd.gui._session import session_of
from napari_cosdd.gui._source_rows import NO_MODEL, SourceRows
from napari_cosdd.gui._widgets import (
    Problem,
    Sentence,
    button,
    enable,
    listen,
    row,
)
from napari_cosdd.images.image import Image
from napari_cosdd.prediction.result_files import made_with

if TYPE_CHECKING:
    import napari

#: Number of warnings that are shown; the others are in a tooltip.
WARNINGS = 3


class DenoiseWidget(Dock):
    """Denoises a layer with a model, and compares the solutions."""

    place = 2

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.viewer, self.session = viewer, session_of(viewer)
        self.session.denoise_docks.add(self)
        self._scored: DenoisingRecord | None = None
        self._told: DenoisingRecord | None = None
        #: A denoising that starts when the check that is running has stopped.
        self._waiting: tuple[Job, DenoisingRecord, ResultLayers] | None = None
        self.status, self.problem = Sentence(), Problem()
        self.model = ModelRow(self.session, self._to_export, self.problem, self.status)
        self.folder = button(
            "Folder…", "Denoise all images of a folder", self._denoise_folder
        )
        self.source = SourceRows(viewer, self.session, self.model.entry, self.folder)
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
            self.session, viewer.theme, self._to_check, self.source.taken
        )
        self._build()
        self.source.image.chosen.connect(self._image_chosen)
        self.compare.reference.chosen.connect(self._refresh)
        self.source.channels.changed.connect(self._refresh)
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
            self.source,
            self.samples,
            self.status,
            self.problem,
            self.before_after,
            self.compare,
            self.trust,
            self.save,
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
        """Start what the form says now, or note it until the check has stopped."""
        self.problem.show_error(None)
        chosen = self._chosen()
        if chosen is None:
            return
        checking = self.session.checking
        if checking is not None and checking.job.active:
            self._waiting = chosen
            checking.job.stop()
            self._refresh()
        else:
            self.session.denoise(*chosen)

    def _chosen(self) -> "tuple[Job, DenoisingRecord, ResultLayers] | None":
        """Return the denoising that the form describes; None if something is wrong."""
        if self.source.chosen is None:
            return None
        layer, entry = self.source.chosen
        try:
            model = entry.load()
            image, offset = self.source.part(self.samples.plane.isChecked())
            region, config = self.source.mask(), self.samples.config()
        except CosddError as error:
            self.problem.show_error(error)
            return None
        self.source.image.choose(layer)  # no longer follow the active layer
        name = entry.name if entry.path is None else entry.path.name
        made_by = made_with(name, model, config, filling(model))
        results = ResultLayers(
            self.viewer,
            layer,
            offset=offset,
            provenance=made_by,
            method=model.method.title,
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

        record = DenoisingRecord(image.name, made_by, key_of(layer))
        return Job(f"denoising {image.name}", work), record, results

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
        checking, waiting = self.session.checking, self._waiting
        if waiting is not None and checking is not None and not checking.job.active:
            self._waiting = None
            self.session.denoise(*waiting)
        self._refresh()

    def _to_check(self) -> Subject | None:
        return self.source.to_check(self.compare.reference.layer)

    def _to_export(self) -> Image:
        return self.source.taken()

    def _cancel(self) -> None:
        if self._waiting is not None:
            self._waiting = None
            self._refresh()
        elif self.session.denoising is not None:
            self.session.denoising.job.stop()

    def _take_over(self, key: str, model: str) -> None:
        """Choose the image and the model of a training."""
        self.model.take(model)
        layer = layer_with(self.viewer.layers, key)
        self.source.image.choose(layer)
        if key and layer is None:
            gone = "The image of the training was removed. Choose the image to denoise."
            self.problem.show_error(BadInputError(gone))

    def _image_chosen(self) -> None:
        """Offer the model that was trained on the image, unless one was chosen."""
        self.problem.show_error(None)
        if self.source.image.layer is not None:
            self.model.offer(self.source.image.layer.name)
        self._refresh()

    # What is shown ------------------------------------------------------------

    def _refresh(self) -> None:
        layer, entry = self.source.image.layer, self.model.entry()
        self.model.choice.setToolTip("" if entry is None else entry.words)
        running = self.session.denoising
        active = running is not None and running.job.active
        active = active or self._waiting is not None
        why = "A denoising is running" if active else NO_MODEL
        if entry is not None and not active:
            why = self.source.image.why_none()
        ready = layer is not None and entry is not None
        enable(self.run, ready and not active, why)
        enable(self.folder, entry is not None and not active, why)
        enable(self.cancel, active, "Nothing is being denoised")
        self.samples.show_for(None if entry is None else entry.model)
        self.samples.allow_plane(layer is not None and layer.ndim > 2)
        self.save.refresh()
        if running is None:
            self.status.setText(NO_MODEL if entry is None else "")
        else:
            self._show_record(*running)
        if self._waiting is not None:
            self.bar.show_waiting(self._waiting[1])
        if layer is not None:
            self.compare.show_source(layer)
        self.before_after.refresh()
        if self.in_front:
            self.source.show_fit()
        self.trust.refresh()

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
        warnings = [f"⚠ {warning}" for warning in record.warnings]
        more = len(warnings) - WARNINGS
        above = [f"{more} more warnings: point here to read them"] if more > 0 else []
        self.status.setText("\n".join(above + warnings[-WARNINGS:]))
        self.status.setToolTip("\n".join(warnings) if more > 0 else "")

    def _is_of_choice(self, record: DenoisingRecord) -> bool:
        """Whether a record is a whole result of the chosen model and image."""
        entry, layer = self.model.entry(), self.source.image.layer
        if not record.complete or layer is None or entry is None or entry.model is None:
            return False
        if entry.model.spec.grid:  # which no check takes
            return False
        same = record.provenance.get("model_hash") == entry.model.fingerprint
        return same and record.source == key_of(layer)

    def _theme_changed(self, event: Any = None) -> None:
        for plot in (self.compare.bars, self.trust.coverage):
            plot.set_theme(self.viewer.theme)
