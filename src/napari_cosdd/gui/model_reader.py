"""A model file dropped into napari opens the Denoise dock with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_cosdd.gui._suffixes import PACKAGE, SUFFIX

Paths = str | list[str]


def open_model(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Return a reader of model files; None for other files."""
    return _read if _first(path).name.endswith((SUFFIX, PACKAGE)) else None


def _read(path: Paths) -> list[Any]:
    """Open the Denoise dock with the model; no layer is made."""
    import napari

    from napari_cosdd.errors import BadModelFileError
    from napari_cosdd.gui._session import open_dock

    viewer = napari.current_viewer()
    if viewer is None:
        raise BadModelFileError(
            "a model file needs an open napari window: drop it there"
        )
    open_dock(viewer, "Denoise").open_model(_first(path))
    return [(None,)]


def _first(path: Paths) -> Path:
    return Path(path[0] if isinstance(path, list) else path)
