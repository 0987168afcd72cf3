"""Reading of resume states, which may be damaged, foreign or of another release."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_cosdd.errors import BadModelFileError
from napari_cosdd.remedies import Remedy
from napari_cosdd.training.resume_0_1 import converted

#: Version of the resume state. Files of 0.1.0 have none; they are converted.
FORMAT_VERSION = 2

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Progress(BaseModel):
    """The numbers of a training's state, with their bounds."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    step: Count
    seconds: Seconds
    started_at: Share
    started_step: Count
    history: dict[str, list[float | None]]
    best: dict[str, Any]
    sound: dict[str, Any]
    reference: dict[str, torch.Tensor | float] | None

    @model_validator(mode="after")
    def _columns(self) -> Self:
        lengths = {len(column) for column in self.history.values()}
        if not {"step", "seconds"} <= self.history.keys() or len(lengths) > 1:
            raise ValueError("expected a history of columns of one length")
        return self


class StateFile(BaseModel):
    """The parts of a resume state."""

    version: Count
    wrote_model: bool
    state: Progress
    recovery: dict[str, Count]
    stepper: dict[str, Any]
    crops: dict[str, Any]
    identity: dict[str, Any]
    recipe: dict[str, Any]
    init_model: dict[str, Any] | None = None
    noise_model: dict[str, Any] | None = None


def load_state(path: Path) -> dict[str, Any]:
    """Read a resume state without unpickling objects.

    Raises
    ------
    BadModelFileError
        If the file is missing, damaged, packed, or of another release.
    """
    if not path.exists():
        model = path.name.removesuffix(".resume")
        raise BadModelFileError(
            f"there is nothing to resume beside {model}: its training was completed "
            f"or never started; a new one can start from it ({Remedy.INIT_MODEL})"
        )
    with unusable(path):
        _check_sizes(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state = state if "version" in state else converted(state)
        if state["version"] > FORMAT_VERSION:
            raise BadModelFileError(
                f"{path.name} is of a newer release of napari-cosdd (format "
                f"{state['version']}, this one reads {FORMAT_VERSION})"
            )
        StateFile.model_validate(state)
        return state


@contextmanager
def unusable(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a state into one error.

    Raises
    ------
    BadModelFileError
        Instead of any other error.
    """
    try:
        yield
    except BadModelFileError:
        raise
    except Exception as error:
        raise BadModelFileError(
            f"{path.name} cannot be resumed from; it is damaged or of another release "
            f"({type(error).__name__})"
        ) from error


def _check_sizes(path: Path) -> None:
    """Refuse a file that is larger in memory than on disk: torch packs nothing."""
    if not path.is_file():
        raise ValueError("no regular file")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if sum(part.file_size for part in parts) > path.stat().st_size:
        raise ValueError("packed")
