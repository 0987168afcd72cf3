"""The file beside a model from which its unfinished training goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_cosdd.errors import BadModelFileError, SavingError
from napari_cosdd.images.files import atomic


def resume_path(model: Path) -> Path:
    """Return where the state for resuming lies: beside the model file."""
    return model.with_name(model.name + ".resume")


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of an unfinished training: tensors and plain values only."""
    try:
        with atomic(path) as temporary:
            torch.save(dict(state), temporary)
    except (RuntimeError, OSError) as error:  # torch's own writer raises RuntimeError
        raise SavingError(f"the state could not be saved: {error}") from error


def load_state(path: Path) -> dict[str, Any]:
    """Read such a state without unpickling objects.

    Raises
    ------
    BadModelFileError
        If the file is missing or damaged.
    """
    if not path.exists():
        model = path.name.removesuffix(".resume")
        raise BadModelFileError(
            f"there is nothing to resume beside {model}: its training was completed "
            "or never begun; --start-from begins another one with its weights"
        )
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadModelFileError(
            f"{path.name} cannot be resumed from: {type(error).__name__}"
        ) from error
    return state


def plain_generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return a numpy generator's state in plain values: its integers have 128 bits."""
    state = generator.bit_generator.state
    return {
        "name": state["bit_generator"],
        "state": {k: str(v) for k, v in state["state"].items()},
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }


def set_generator_state(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Set what `plain_generator_state` returned."""
    generator.bit_generator.state = {
        "bit_generator": state["name"],
        "state": {k: int(v) for k, v in state["state"].items()},
        "has_uint32": state["has_uint32"],
        "uinteger": state["uinteger"],
    }
