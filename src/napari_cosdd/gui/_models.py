"""The models that docks offer, and the folder of the model files."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from napari_cosdd.api import load
from napari_cosdd.errors import SavingError
from napari_cosdd.gui._suffixes import SUFFIX
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.locks import holder_of, lock_file
from napari_cosdd.settings.training import FEW_STEPS
from napari_cosdd.training.saving import reserve, resume_path

PLUGIN = "napari-cosdd"
#: Model files offered from earlier sessions, newest first.
RECENT = 20


@dataclass
class ModelEntry:
    """A model that can be chosen; its file is read at first use.

    Attributes
    ----------
    name : str
        Name that docks show.
    path : Path or None
        Its file, if it was saved.
    model : TrainedModel or None
        The model itself; None until its file is read.
    """

    name: str
    path: Path | None = None
    model: Any = None

    @property
    def words(self) -> str:
        """Method, images and file, for a tooltip; of a file not read yet, its path."""
        lines = [self.name]
        if self.model is not None:
            names = ", ".join(self.model.trained_on.names[:3])
            steps = f", {self.model.n_steps} steps" if self.model.n_steps else ""
            lines += [self.model.method.describe(), f"trained on {names}{steps}"]
        return "\n".join([*lines, str(self.path or "")]).strip()

    def load(self) -> Any:
        """Return the model; the first call reads its file.

        Raises
        ------
        BadModelFileError
            If the file is damaged, missing or not a model file.
        """
        if self.model is None and self.path is not None:
            self.model = load(self.path)
        return self.model


def models_folder() -> Path:
    """Return the folder of models: the preferred one, else one in the user's data."""
    preferred = preference("models", "folder", "")
    return Path(preferred) if preferred else user_data_path(PLUGIN) / "models"


def preference(category: str, name: str, default: Any) -> Any:
    """Return a preference of the plugin; napari before 0.9 has only defaults."""
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


def unfinished_trainings() -> list[Path]:
    """Return the model files of trainings that were interrupted, newest first.

    Beside each lies a resume state, from which it goes on. Those that are running in
    some process are left out.
    """
    found = []
    for state in models_folder().glob("*" + resume_path(Path(SUFFIX)).name):
        model = state.with_suffix("")
        with suppress(OSError):  # its training may end just now
            known = state.stat()
            if known.st_size and holder_of(lock_file(model)) is None:
                found.append((known.st_mtime, model))
    return [model for _, model in sorted(found, reverse=True)]


def is_of_image(entry: ModelEntry, image: str) -> bool:
    """Whether a model was trained on an image of that name, as far as is known.

    A model whose file was not read yet is judged by the name of its file.
    """
    if entry.model is not None:
        return image in entry.model.trained_on.names
    return entry.name.startswith(f"{plain_name(image)}-")


def is_cut_short(entry: ModelEntry) -> bool:
    """Whether a model is known to have been trained for too few steps."""
    n = None if entry.model is None else entry.model.n_steps
    return n is not None and n < FEW_STEPS


def plain_name(name: str) -> str:
    """Return a layer's name, changed so that every file system accepts it."""
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    return plain.strip("-.")[:60] or "image"


def new_noise_model_path(image: str, kind: str) -> Path:
    """Return a free path for a noise model, named after its image and kind.

    Its folder is one of its own, so that it is not offered as a denoiser.
    """
    folder = models_folder() / "noise models"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{plain_name(image)}-{kind}-{time.strftime('%m%d-%H%M')}"
    path, n = folder / (name + SUFFIX), 2
    while path.exists():
        path, n = folder / f"{name}-{n}{SUFFIX}", n + 1
    return path


def new_model_path(image: str, kind: str) -> Path:
    """Return a free path for a model, named after its image, kind and time.

    An empty resume state beside it reserves the name against other docks and programs.
    """
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{plain_name(image)}-{kind}-{time.strftime('%m%d-%H%M')}"
    path, n = folder / (name + SUFFIX), 2
    while path.exists() or not reserve(path):
        path, n = folder / f"{name}-{n}{SUFFIX}", n + 1
    return path


def filling(model: Any) -> Fill:
    """Return which pixels of a layer to fill for a model: missing ones at least."""
    fill: Fill = model.trained_on.fill
    return "missing" if fill == "nothing" else fill


def moved(path: Path, name: str) -> Path:
    """Rename a model file; return its new path.

    Raises
    ------
    SavingError
        If there is such a file already, or the file cannot be renamed.
    """
    new = path.with_name(name + path.suffix)
    if new.exists():
        raise SavingError(f"{new.name} exists already; choose another name")
    try:
        return path.rename(new)
    except OSError as error:
        raise SavingError(f"{path.name} cannot be renamed: {error}") from error
