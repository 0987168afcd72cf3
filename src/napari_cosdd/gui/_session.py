"""What the docks of one viewer share: jobs, models, what is known of the noise."""

import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_data_path
from qtpy.QtCore import QObject, Signal

from napari_cosdd.api import ModelCheck, NoiseReport, load
from napari_cosdd.events import Checked, Event, Finished
from napari_cosdd.gui._jobs import Job
from napari_cosdd.gui._layers import data_of, pixels_key
from napari_cosdd.gui._records import DenoisingRecord, TrainingRecord
from napari_cosdd.gui._results import ResultLayers
from napari_cosdd.gui.model_reader import SUFFIX
from napari_cosdd.training.resume import resume_path

PLUGIN = "napari-cosdd"
#: Model files offered from earlier sessions, newest first.
RECENT = 20
#: Model checks that are kept: each holds the pixels that it rests on.
CHECKS = 4
#: What a check is kept under: keys of the layer's pixels and of the clean one's, the
#: model's fingerprint.
CheckKey = tuple[tuple[str, int], tuple[str, int] | None, str]


@dataclass
class ModelEntry:
    """A model that can be chosen; its file is read at first use.

    Attributes
    ----------
    name : str
        As shown.
    path : Path or None
        Its file.
    model : TrainedModel or None
        Once it is in memory.
    """

    name: str
    path: Path | None = None
    model: Any = None

    def load(self) -> Any:
        """Return the model, read from its file if it was not yet.

        Raises
        ------
        BadModelFileError
            If the file is damaged, foreign or gone.
        """
        if self.model is None and self.path is not None:
            self.model = load(self.path)
        return self.model


class Session(QObject):
    """What the docks of one viewer share; it lives as long as the viewer.

    Signals: `models_changed`; `training_changed` and `denoising_changed` after each
    bundle of events; `noise_found`; `checked`; `use_noise`, with the key of a layer,
    and `denoise_layer`, with that and the model's name, when a dock hands over to the
    next.
    """

    models_changed = Signal()
    training_changed = Signal()
    denoising_changed = Signal()
    noise_found = Signal()
    checked = Signal()
    use_noise = Signal(str)
    denoise_layer = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.models: list[ModelEntry] = recent_models()
        #: The noise of layers, by their key and that of their pixels.
        self.reports: dict[tuple[str, int], NoiseReport] = {}
        #: The axes of layers as the user has given them, by their key.
        self.axes: dict[str, str] = {}
        self.training: tuple[Job, TrainingRecord] | None = None
        self.denoising: tuple[Job, DenoisingRecord] | None = None
        self.checking: tuple[Job, CheckKey] | None = None
        self.checks: dict[CheckKey, ModelCheck] = {}
        self.replace_results = True  # as the user chose last

    def add_model(self, entry: ModelEntry) -> None:
        """Offer a model first of all, in place of one of the same file or name."""
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

    def report(self, layer: Any) -> NoiseReport | None:
        """Return what is known of the noise of a layer, as its pixels are now."""
        return None if layer is None else self.reports.get(pixels_key(layer))

    def add_report(self, layer: Any, report: NoiseReport) -> None:
        """Remember what the noise of a layer is like."""
        key = pixels_key(layer)
        # Once the pixels are gone, others may come to lie where they lay.
        weakref.finalize(data_of(layer), self.reports.pop, key, None)
        self.reports[key] = report
        self.noise_found.emit()

    def train(self, job: Job, record: TrainingRecord) -> None:
        """Run a training; what it tells is kept here, whatever dock is open."""
        self.training = (job, record)

        def take(events: tuple[Event, ...]) -> None:
            for event in events:
                record.take(event)
                if isinstance(event, Finished):
                    path = record.path
                    name = record.image if path is None else path.stem
                    if path is not None:  # docks begin anew, from its weights
                        resume_path(path).unlink(missing_ok=True)
                    entry = ModelEntry(name, path, event.result)
                    self.add_model(entry)
                    record.model = entry.name
            job.tell_progress(record.progress)
            self.training_changed.emit()

        def change() -> None:
            path = record.path
            if job.state == "failed" and path is not None and path.exists():
                self.add_model(ModelEntry(path.stem, path))  # the last good one
            if path is not None and not job.active:
                _release(path)
            self.training_changed.emit()

        job.advanced.connect(take)
        job.changed.connect(change)
        job.start()
        self.training_changed.emit()

    def denoise(self, job: Job, record: DenoisingRecord, results: ResultLayers) -> None:
        """Run a denoising; its results become layers as they come."""
        self.denoising = (job, record)

        def take(events: tuple[Event, ...]) -> None:
            for event in events:
                record.take(event)
                results.take(event)
            job.tell_progress(record.progress)
            self.denoising_changed.emit()

        def change() -> None:
            if not job.active:
                results.finish()
            self.denoising_changed.emit()

        job.advanced.connect(take)
        job.changed.connect(change)
        job.start()
        self.denoising_changed.emit()

    def check(self, job: Job, key: CheckKey) -> None:
        """Run a model check; what it finds is kept under `key`, of the last few."""
        self.checking = (job, key)

        def take(events: tuple[Event, ...]) -> None:
            for event in events:
                if isinstance(event, Checked):
                    self.checks[key] = event.result
                    for oldest in list(self.checks)[:-CHECKS]:
                        del self.checks[oldest]
            self.checked.emit()

        job.advanced.connect(take)
        job.changed.connect(self.checked)
        job.start()
        self.checked.emit()


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
    """Open one of our docks, or bring it to the front; return its widget."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, name, tabify=True)
    dock.show()
    dock.raise_()
    return widget


def models_folder() -> Path:
    """Return the folder of models: as preferred, else in the user's data folder."""
    preferred = preference("models", "folder", "")
    return Path(preferred) if preferred else user_data_path(PLUGIN) / "models"


def preference(category: str, name: str, default: Any) -> Any:
    """Return a preference of the plugin; napari before 0.9 has none."""
    try:
        from napari.settings import get_plugin_settings

        found = getattr(get_plugin_settings(PLUGIN), category)
        return getattr(found, name)
    except (ImportError, AttributeError, KeyError, ValueError):
        return default


def recent_models() -> list[ModelEntry]:
    """Return the model files of earlier sessions, newest first; none is opened."""
    folder = models_folder()
    if not folder.is_dir():
        return []
    files = sorted(folder.glob("*" + SUFFIX), key=lambda p: -p.stat().st_mtime)
    return [ModelEntry(p.stem, p) for p in files[:RECENT]]


def plain_name(name: str) -> str:
    """Return a layer's name as every file system takes it."""
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    return plain.strip("-.")[:60] or "image"


def new_model_path(image: str, preset: str) -> Path:
    """Return a free path for a model, named after its image, preset and time.

    It is reserved, for other docks and programs, by an empty file for resuming.
    """
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{plain_name(image)}-{preset}-{time.strftime('%m%d-%H%M')}"
    path, n = folder / (name + SUFFIX), 2
    while path.exists() or not _reserve(path):
        path, n = folder / f"{name}-{n}{SUFFIX}", n + 1
    return path


def _reserve(path: Path) -> bool:
    """Make the file for resuming that a training will write; False if it is there."""
    try:
        resume_path(path).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _release(path: Path) -> None:
    """Take back what was reserved and not used."""
    reserved = resume_path(path)
    with suppress(FileNotFoundError):
        if reserved.stat().st_size == 0:
            reserved.unlink()
