"""Former names of arguments, supported with a warning for one release."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any


def renamed(former: str, present: str) -> None:
    """Warn that a name has changed."""
    message = f"{former!r} is called {present!r} now; the former name will go"
    warnings.warn(message, FutureWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return the `stacklevel` of a warning that names who called this package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    return level


def _is_inside(module: str) -> bool:
    return module.partition(".")[0] in ("napari_cosdd", "pydantic")


def take_former(values: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Remove arguments with former names from `values`, and return them.

    Parameters
    ----------
    values : dict
        Keyword arguments; those with former names are removed.
    names : mapping
        Present name by former name.

    Returns
    -------
    dict
        The removed values, by present name.
    """
    by_present_name = {}
    for former, present in names.items():
        if former in values:
            renamed(former, present)
            by_present_name[present] = values.pop(former)
    return by_present_name
