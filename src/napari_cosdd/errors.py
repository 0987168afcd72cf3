"""Errors and warnings for the user: what was expected and what came."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError


class CosddError(Exception):
    """Any error that this package raises on purpose; its text is for the user."""


class CosddWarning(UserWarning):
    """Something about images, noise or training that a caller should know."""


class BadInputError(CosddError, ValueError):
    """An image, its axes, a setting or a path is not as expected."""


class StoppedError(CosddError):
    """The user stopped the work before there was a result."""


class BadModelFileError(CosddError, ValueError):
    """A model file is damaged, not of this package, or does not fit the image."""


class TrainingDivergedError(CosddError, ArithmeticError):
    """Training stayed unstable after it went back to earlier weights."""


class PosteriorCollapseError(CosddError):
    """The latents carry no signal even after all restarts; no model is kept."""


class SavingError(CosddError, OSError):
    """A file could not be written: full disk, no permission, lost drive."""


class DeviceLostError(CosddError):
    """The GPU stopped working; only a new process can use it again."""


class NotEnoughMemoryError(CosddError, MemoryError):
    """Memory ran out even at the smallest micro-batch or tile."""


#: Errors that concern one image of several; the others can go on.
IMAGE_ERRORS = (BadInputError, BadModelFileError, NotEnoughMemoryError)


def in_words(error: ValidationError, known: Iterable[str] = ()) -> str:
    """Return a short description of invalid settings, for the user.

    Parameters
    ----------
    known : iterable of str
        Names of settings, to suggest for a misspelled name.
    """
    return "; ".join(_problem(detail, list(known)) for detail in error.errors())


def _problem(found: Any, known: list[str]) -> str:
    name = ".".join(map(str, found["loc"])) or "file"
    if found["type"] != "extra_forbidden":
        return f"{name}: {found['msg']}, got {found['input']!r:.80}"
    near = get_close_matches(name, known, 1)
    return f"there is no setting {name!r}" + (
        f"; did you mean {near[0]!r}?" if near else ""
    )
