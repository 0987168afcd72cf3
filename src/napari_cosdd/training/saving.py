"""The files of a training: the best model so far, and the resume state.

`Saver` alone writes and deletes them.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_cosdd.errors import BadInputError, BadModelFileError, SavingError
from napari_cosdd.images.files import atomic
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.remedies import Remedy
from napari_cosdd.training.resume_file import FORMAT_VERSION, load_state


def resume_path(model: Path) -> Path:
    """Return the path of the resume state, which is beside the model file."""
    return model.with_name(model.name + ".resume")


def check_interrupted(model: Path, overwrite: bool) -> None:
    """Refuse to replace the resume state of an interrupted training.

    Raises
    ------
    BadInputError
        If there is one and `overwrite` is False.
    """
    state = resume_path(model)
    if os.path.exists(state) and not overwrite:  # False for names too long to exist
        raise BadInputError(
            f"{state} is of an interrupted training: {Remedy.GO_ON}, or replace it "
            f"({Remedy.REPLACE})"
        )


class Saver:
    """Writes and deletes the files of one training.

    Parameters
    ----------
    path : Path or None
        Model file; None writes nothing.
    every : float
        Time between two saves, minutes.
    writes : bool
        False in processes other than the main one, which only read.
    """

    def __init__(self, path: Path | None, every: float, *, writes: bool = True) -> None:
        self.path = path
        self.every = every
        self.writes = writes and path is not None
        #: Whether this training wrote the model file, so that it may delete it.
        self.wrote_model = False
        #: Whether the model of another training is at `path`. It stays until this
        #: training ends with a model; the resume state holds the best one until then.
        self.replaces = path is not None and path.exists()
        self._last = time.monotonic()

    @property
    def state_path(self) -> Path:
        """Path of the resume state.

        Raises
        ------
        BadModelFileError
            If there is no model file.
        """
        if self.path is None:
            raise BadModelFileError(
                "to resume, give the model file of the interrupted training"
            )
        return resume_path(self.path)

    @property
    def due(self) -> bool:
        """Whether the last save is old enough for the next one."""
        age = time.monotonic() - self._last
        return self.writes and age > 60 * self.every

    def save(self, state: Mapping[str, Any], best: TrainedModel | None) -> None:
        """Write the resume state, and the best model so far if there is one.

        A model of another training is not replaced before this one ends.

        Raises
        ------
        SavingError
            If one of them could not be written. The files of the last save stay.
        """
        if self.path is None or not self.writes:
            return
        self._last = time.monotonic()  # no retry at once after a failure
        content = {**state, "version": FORMAT_VERSION, "wrote_model": self.wrote_model}
        try:
            with atomic(resume_path(self.path)) as temporary:
                torch.save(content, temporary)
        except (RuntimeError, OSError) as error:  # torch's writer raises RuntimeError
            raise SavingError(f"the state could not be saved: {error}") from error
        if best is not None and not self.replaces:
            best.save(self.path)
            self.wrote_model = True

    def restore(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Return the state beside the model file.

        Parameters
        ----------
        identity : mapping
            Values that must be equal for a training to go on.

        Raises
        ------
        BadModelFileError
            If there is no state, or it belongs to another training.
        """
        path = self.state_path
        state = load_state(path)
        if state.get("identity") != identity:
            raise BadModelFileError(
                f"{path.name} belongs to a training with other settings or images, or "
                "with other first weights; give the same ones, or do not resume"
            )
        self.wrote_model = bool(state["wrote_model"])
        self.replaces = self.replaces and not self.wrote_model
        return state

    def keep_best(self, model: TrainedModel) -> bool:
        """Write the best model before a failure; return whether it was written."""
        if self.path is None or not self.writes:
            return False
        model.save_or_rescue(self.path)
        return True

    def delete_model(self) -> None:
        """Delete the model file of a failed training, if this training wrote it."""
        if self.path is not None and self.writes and self.wrote_model:
            self.path.unlink(missing_ok=True)

    def finish(self, model: TrainedModel, *, can_go_on: bool) -> Path | None:
        """Write the final model; keep the resume state if the training `can_go_on`.

        Returns
        -------
        Path or None
            The model file, if one was written.

        Raises
        ------
        SavingError
            If the model could not be written; the message names the file that holds
            it instead.
        """
        if self.path is None or not self.writes:
            return None
        model.save_or_rescue(self.path)
        if not can_go_on:
            forget_state(self.path)
        return self.path


def reserve(model: Path) -> bool:
    """Create an empty resume state, so that no other training takes the name.

    Returns
    -------
    bool
        False if the name is taken.
    """
    try:
        resume_path(model).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def release(model: Path) -> None:
    """Delete a reserved state that no training has written to."""
    path = resume_path(model)
    with suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()


def forget_state(model: Path) -> None:
    """Delete the resume state of a training that will not go on."""
    resume_path(model).unlink(missing_ok=True)


def plain_generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return a numpy generator's state in plain values; 128-bit integers as text."""
    state = generator.bit_generator.state
    return {
        "name": state["bit_generator"],
        "state": {k: str(v) for k, v in state["state"].items()},
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }


def set_generator_state(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Restore a state that `plain_generator_state` returned."""
    generator.bit_generator.state = {
        "bit_generator": state["name"],
        "state": {k: int(v) for k, v in state["state"].items()},
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }
