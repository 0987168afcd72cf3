"""Former names of arguments, which work for one release with a warning."""

import warnings
from collections.abc import Mapping
from typing import Any


def renamed(former: str, present: str) -> None:
    """Warn that a name has changed."""
    message = f"{former!r} is called {present!r} now; the former name will go"
    warnings.warn(message, FutureWarning, stacklevel=4)


def take_former(values: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Take arguments out of `values` that were given by a former name.

    Parameters
    ----------
    values : dict
        Further keyword arguments of a function; those taken are removed.
    names : mapping
        Present name by former name.

    Returns
    -------
    dict
        Their values, by the present name.
    """
    taken = {}
    for former, present in names.items():
        if former in values:
            renamed(former, present)
            taken[present] = values.pop(former)
    return taken
