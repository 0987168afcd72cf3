"""A model file dropped into napari opens a dock with it.

A denoiser opens the Denoise dock, a noise model the Train dock.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_cosdd.gui._suffixes import PACKAGE, SUFFIX

Paths = str | list[str]


def open_model(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Return a reader of model files; None for other files."""
    return _read if _first(path).name.endswith((SUFFIX, PACKAGE)) else None


def _read(path: Paths) -> list[Any]:
    """Open the dock of the model; no layer is made."""
    import napari

    from napari_cosdd.errors import BadModelFileError
    from napari_cosdd.gui._session import open_dock, session_of
    from napari_cosdd.models.noise_model_file import is_noise_model

    viewer = napari.current_viewer()
    if viewer is None:
        raise BadModelFileError(
            "a model file needs an open napari window: drop it there"
        )
    if is_noise_model(_first(path)):
        open_dock(viewer, "Train")
        session_of(viewer).add_noise_model(_first(path))
    else:
        open_dock(viewer, "Denoise").model.open_file(_first(path))
    return [(None,)]


def _first(path: Paths) -> Path:
    return Path(path[0] if isinstance(path, list) else path)
