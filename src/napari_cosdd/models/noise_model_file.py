"""Noise models in their own files, and in the file of a denoiser."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_cosdd._version import __version__
from napari_cosdd.errors import BadInputError, BadModelFileError
from napari_cosdd.models.container import Header, open_container, write_container
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.registry import get_noise_model


class NoiseModelInfo(BaseModel):
    """Kind and settings, from which a noise model can be rebuilt.

    Attributes
    ----------
    kind : str
        As in NOISE_MODELS.
    config : mapping
        Its settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    config: dict[str, Any]

    @classmethod
    def of(cls, model: NoiseModel) -> "NoiseModelInfo":
        """Describe a noise model."""
        return cls(kind=model.kind, config=model.config.model_dump(mode="json"))

    def build(self) -> NoiseModel:
        """Return a noise model without its tensors, which are loaded later.

        Raises
        ------
        BadInputError, ValidationError
            If the kind is unknown, or the settings are invalid.
        """
        kind = get_noise_model(self.kind)
        return kind(kind.Config.model_validate(self.config))


class NoiseModelHeader(Header):
    """Metadata of a noise model's file."""

    content: Literal["noise model"] = "noise model"
    package_version: str = __version__
    noise_model: NoiseModelInfo
    measured_on: dict[str, Any] = Field(default_factory=dict)


def save_noise_model(
    model: NoiseModel, path: Path, measured_on: Mapping[str, Any] | None = None
) -> None:
    """Write a noise model's file atomically.

    Parameters
    ----------
    model : NoiseModel
        The noise model.
    path : Path
        Ends in .safetensors.
    measured_on : mapping, optional
        Origin of the measurement, such as image names.

    Raises
    ------
    SavingError
        If it cannot be written.
    """
    info = NoiseModelInfo.of(model)
    header = NoiseModelHeader(noise_model=info, measured_on=dict(measured_on or {}))
    write_container(path, header, model.state_dict())


def is_noise_model(path: Path) -> bool:
    """Whether a file is a noise model that can be read."""
    try:
        load_noise_model(path)
    except BadModelFileError:
        return False
    return True


def load_noise_model(path: Path | str) -> NoiseModel:
    """Read a noise model's file. Nothing in it is executed.

    Raises
    ------
    BadModelFileError
        If it is damaged, foreign, of a newer format, or a denoiser's file.
    """
    path = Path(path)
    with open_container(path, "noise model") as container:
        try:
            header = NoiseModelHeader.model_validate(container.metadata)
            with torch.device("meta"):
                model = header.noise_model.build()
        except (ValidationError, BadInputError) as error:
            raise BadModelFileError(f"{path.name}: its settings are damaged") from error
        container.load_into(model)
    return model.eval()


def opened_noise_model(model: NoiseModel | Path | str | None) -> NoiseModel | None:
    """Return a noise model, read from its file if it is a path.

    Raises
    ------
    BadInputError
        If it is neither.
    """
    if isinstance(model, (str, Path)):
        return load_noise_model(model)
    if model is None or isinstance(model, NoiseModel):
        return model
    raise BadInputError(
        "expected a noise model (from `calibrate`) or the path of its file, got "
        f"{type(model).__name__}"
    )


def to_plain(model: NoiseModel) -> dict[str, Any]:
    """Return a noise model as plain values and tensors, for a training's state."""
    return {
        "info": NoiseModelInfo.of(model).model_dump(),
        "tensors": dict(model.state_dict()),
    }


def is_described(model: NoiseModel, plain: Mapping[str, Any]) -> bool:
    """Whether `plain`, of `to_plain`, describes this noise model."""
    own = to_plain(model)
    tensors, others = own["tensors"], plain["tensors"]
    return own["info"] == plain["info"] and all(
        name in others and torch.equal(tensor.cpu(), others[name].cpu())
        for name, tensor in tensors.items()
    )


def from_plain(plain: Mapping[str, Any]) -> NoiseModel:
    """Return the noise model that `to_plain` described.

    Raises
    ------
    KeyError, ValueError, RuntimeError
        If the values do not describe a noise model.
    """
    model = NoiseModelInfo.model_validate(plain["info"]).build()
    model.load_state_dict(plain["tensors"])
    return model.eval()
