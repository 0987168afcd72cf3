"""State that the docks of one viewer share: jobs, models, reports and checks."""

import weakref
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from npe2 import PluginManager
from qtpy.QtCore import QObject, Signal

from napari_cosdd.api import ModelCheck, NoiseReport
from napari_cosdd.errors import SavingError
from napari_cosdd.events import Denoised, Event, Finished
from napari_cosdd.gui._dock import Dock
from napari_cosdd.gui._jobs import Job, Result
from napari_cosdd.gui._layers import data_of, pixels_key
from napari_cosdd.gui._models import PLUGIN, ModelEntry, moved, recent_models
from napari_cosdd.gui._records import DenoisingRecord, TrainingRecord
from napari_cosdd.gui._results import ResultLayers
from napari_cosdd.training.saving import forget_state, release

#: Number of model checks that are kept; each holds the pixels that it examined.
CHECKS = 4
#: Key of a stored check: pixels of the layer, pixels of the clean layer if any, and the
#: model's fingerprint.
CheckKey = tuple[tuple[str, int], tuple[str, int] | None, str]


#: Subject of a job: a record, or the key of a check.
About = TypeVar("About")


class Running(NamedTuple, Generic[About]):
    """A job, active or ended, and its subject."""

    job: Job
    about: About


class Session(QObject):
    """State that the docks of one viewer share; it lives as long as the viewer.

    Signals: `models_changed`; `model_renamed` before it, with both names;
    `training_changed` and `denoising_changed` after each bundle of events;
    `noise_found`; `checked`. A dock that opens the next one emits `use_noise` with the
    key of a layer, or `denoise_layer` with the key of a layer and the name of a model,
    and a calibration `calibrated` with the noise model's file.
    """

    models_changed = Signal()
    model_renamed = Signal(str, str)
    training_changed = Signal()
    denoising_changed = Signal()
    noise_found = Signal()
    checked = Signal()
    calibrated = Signal(Path)
    use_noise = Signal(str)
    denoise_layer = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.models: list[ModelEntry] = recent_models()
        #: Noise reports, by the `pixels_key` of the layer.
        self.reports: dict[tuple[str, int], NoiseReport] = {}
        #: Axes that the user has given, by the `key_of` the layer.
        self.axes: dict[str, str] = {}
        #: What the user chose to do with the channels, by the `key_of` the layer.
        self.channels: dict[str, str] = {}
        self.training: Running[TrainingRecord] | None = None
        self.denoising: Running[DenoisingRecord] | None = None
        #: The last denoising of a layer that reached its end.
        self.denoised: DenoisingRecord | None = None
        self.checking: Running[CheckKey] | None = None
        #: Docks that show trainings and denoisings, while they are in front.
        self.train_docks: weakref.WeakSet[Dock] = weakref.WeakSet()
        self.denoise_docks: weakref.WeakSet[Dock] = weakref.WeakSet()
        self.checks: dict[CheckKey, ModelCheck] = {}
        #: Noise model that was calibrated last, for the next training.
        self.noise_model: Path | None = None
        # As the user chose last.
        self.replace_results = self.check_results = True

    def add_model(self, entry: ModelEntry) -> None:
        """Put a model first in the list; it replaces one of the same file or name."""
        key = entry.path or entry.name
        self.models = [m for m in self.models if (m.path or m.name) != key]
        names = {m.name for m in self.models}
        if entry.name in names and entry.path is not None:
            entry.name = f"{entry.name} ({entry.path.parent.name})"
        plain, n = entry.name, 2
        while entry.name in names:
            entry.name, n = f"{plain} {n}", n + 1
        self.models.insert(0, entry)
        self.models_changed.emit()

    def rename_model(self, entry: ModelEntry, name: str) -> None:
        """Give a model and its file another name.

        Raises
        ------
        SavingError
            If the name is taken, or the file cannot be renamed.
        """
        if any(m.name == name for m in self.models if m is not entry):
            raise SavingError(f"there is a model called {name}; choose another name")
        if entry.path is not None:
            entry.path = moved(entry.path, name)
        before, entry.name = entry.name, name
        if self.training is not None and self.training.about.model == before:
            self.training.about.model = name
        self.model_renamed.emit(before, name)
        self.models_changed.emit()

    def delete_model(self, entry: ModelEntry) -> None:
        """Take a model off the list, and delete its file.

        Raises
        ------
        OSError
            If the file cannot be deleted; the model stays.
        """
        if entry.path is not None:
            entry.path.unlink(missing_ok=True)
        self.models = [m for m in self.models if m is not entry]
        self.models_changed.emit()

    def report(self, layer: Any) -> NoiseReport | None:
        """Return the noise report on the present pixels of a layer, if any."""
        return None if layer is None else self.reports.get(pixels_key(layer))

    def add_report(self, layer: Any, report: NoiseReport) -> None:
        """Store the noise report on the present pixels of a layer."""
        key = pixels_key(layer)
        # The key holds id(pixels); Python may reuse it once these pixels are freed.
        weakref.finalize(data_of(layer), self.reports.pop, key, None)
        self.reports[key] = report
        self.noise_found.emit()

    def add_noise_model(self, path: Path) -> None:
        """Offer a noise model file to the docks."""
        self.noise_model = path
        self.calibrated.emit(path)

    def train(self, job: Job, record: TrainingRecord) -> None:
        """Run a training and record its events, even while no dock is open."""
        self.training = Running(job, record)
        job.is_shown = partial(_any_in_front, self.train_docks)

        def take(events: tuple[Event, ...]) -> None:
            for event in events:
                record.take(event)
                if isinstance(event, Finished):
                    path = record.path
                    name = record.image if path is None else path.stem
                    if path is not None:  # docks start from its weights, never resume
                        forget_state(path)
                    entry = ModelEntry(name, path, event.result)
                    self.add_model(entry)
                    record.model = entry.name
            job.tell_progress(record.progress)
            self.training_changed.emit()

        def change() -> None:
            path = record.path
            if job.state == "failed" and path is not None and path.exists():
                self.add_model(ModelEntry(path.stem, path))  # the last one saved
            if path is not None and not job.active:
                release(path)
            self.training_changed.emit()

        job.advanced.connect(take)
        job.changed.connect(change)
        job.start()
        self.training_changed.emit()

    def denoise(
        self, job: Job, record: DenoisingRecord, results: ResultLayers | None
    ) -> None:
        """Run a denoising, and show its results, if wanted, as layers that fill."""
        self.denoising = Running(job, record)
        job.is_shown = partial(_any_in_front, self.denoise_docks)

        def take(events: tuple[Event, ...]) -> None:
            for event in events:
                record.take(event)
                if isinstance(event, Denoised):
                    self.denoised = record
                if results is not None:
                    results.take(event)
            job.tell_progress(record.progress)
            self.denoising_changed.emit()

        def change() -> None:
            if not job.active and results is not None:
                results.finish()
            self.denoising_changed.emit()

        job.advanced.connect(take)
        job.changed.connect(change)
        job.start()
        self.denoising_changed.emit()

    def check(self, job: Job, key: CheckKey) -> None:
        """Run a model check and store its result under `key`; drop the oldest ones."""
        self.checking = Running(job, key)

        def take(events: tuple[Event, ...]) -> None:
            for event in events:
                if isinstance(event, Result):
                    self.checks[key] = event.value
                    for oldest in list(self.checks)[:-CHECKS]:
                        del self.checks[oldest]
            self.checked.emit()

        job.advanced.connect(take)
        job.changed.connect(self.checked)
        job.start()
        self.checked.emit()


def _any_in_front(docks: Iterable[Dock]) -> bool:
    return any(dock.in_front for dock in docks)


_SESSIONS: dict[int, Session] = {}


def session_of(viewer: Any) -> Session:
    """Return the session of a viewer, the same for all its docks."""
    viewer = getattr(viewer, "__wrapped__", viewer)
    key = id(viewer)
    if key not in _SESSIONS:
        _SESSIONS[key] = Session()
        weakref.finalize(viewer, _SESSIONS.pop, key, None)
    return _SESSIONS[key]


def open_dock(viewer: Any, name: str) -> Any:
    """Open one of our docks, or bring it to the front; return its widget.

    It has the name that the Plugins menu gives it, so that the menu finds it.
    """
    window = getattr(viewer.window, "__wrapped__", viewer.window)
    manifest = PluginManager.instance().get_manifest(PLUGIN)
    title = f"{name} ({manifest.display_name})"
    if title in window.dock_widgets:
        widget = window.dock_widgets[title]
    else:
        widgets = manifest.contributions.widgets or []
        made = next(one for one in widgets if one.display_name == name)
        widget = made.get_callable()(viewer)
        window.add_dock_widget(widget, name=title)
    content = widget.content
    holder = content.holder
    holder.show()
    holder.raise_()
    return content
