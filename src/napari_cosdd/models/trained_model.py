"""A trained denoiser, and its file."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import ConfigDict, Field, ValidationError, model_validator

from napari_cosdd._version import __version__
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.errors import BadInputError, BadModelFileError, SavingError
from napari_cosdd.images.files import beside
from napari_cosdd.images.filling import Fill
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.registry import METHODS, get_method
from napari_cosdd.methods.values import Assets
from napari_cosdd.models.container import Header, open_container, write_container
from napari_cosdd.models.noise_model_file import NoiseModelInfo
from napari_cosdd.settings.training import TrainingConfig


class DenoiserHeader(Header):
    """Metadata of a denoiser's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: Literal["denoiser"] = "denoiser"
    package_version: str
    method: str
    config: dict[str, Any]
    training: TrainingConfig
    spec: DataSpec
    noise_model: NoiseModelInfo | None = None
    margin: tuple[Annotated[int, Field(ge=0, le=4096)], ...] | None = None
    reversible: bool = False
    trained_on: TrainedOn = TrainedOn()
    history: dict[str, list[float | None]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _margin_fits(self) -> Self:
        if self.margin is not None and len(self.margin) != self.spec.ndim:
            raise ValueError("the margin needs a number for each spatial axis")
        return self


@dataclass(frozen=True)
class TrainedModel:
    """A trained method with all data needed to use, judge and continue it.

    Attributes
    ----------
    name : str
        Name of the method, as in METHODS.
    method : Method
        Networks with averaged weights, in evaluation mode.
    training : TrainingConfig
        Settings of the training.
    margin : tuple of int or None
        Context that a tile needs, pixels per axis; None if not measured.
    reversible : bool
        Whether reversing its axis keeps the distribution of the noise, as measured.
    trained_on : TrainedOn
        Names, shapes and statistics of the training data, and their hash.
    history : mapping
        Columns of equal length by name ("step", "loss", …); None if not measured.
    """

    name: str
    method: Method[Any]
    training: TrainingConfig
    margin: tuple[int, ...] | None = None
    reversible: bool = False
    trained_on: TrainedOn = field(default_factory=TrainedOn)
    history: Mapping[str, list[float | None]] = field(default_factory=dict)

    def __repr__(self) -> str:
        parameters = sum(p.numel() for p in self.method.parameters())
        known = {"images": ", ".join(self.trained_on.names), "steps": self.n_steps}
        known["fingerprint"] = self.fingerprint[:8]
        words = "".join(f", {key} {value}" for key, value in known.items() if value)
        return f"TrainedModel({self.method.describe()}, {parameters:,} weights{words})"

    @property
    def n_steps(self) -> int | None:
        """Number of steps until the last validation; None if not recorded."""
        steps = [s for s in self.history.get("step", []) if s is not None]
        return int(steps[-1]) if steps else None

    @property
    def spec(self) -> DataSpec:
        """Shape and scale of the training data."""
        return self.method.spec

    def filling(self, fill: Fill | None) -> Fill:
        """Return which pixels of an image to fill; None: those of the training."""
        return self.trained_on.fill if fill is None else fill

    @property
    def tile_margin(self) -> tuple[int, ...]:
        """Context that a tile needs, pixels per axis: measured, else computed."""
        return self.margin or self.method.tile_margin()

    @property
    def symmetries(self) -> tuple[int, ...]:
        """Spatial axes whose flip keeps the distribution of the noise."""
        every = range(self.spec.ndim)
        return tuple(every) if self.reversible else self.method.symmetries()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that determines results: networks, settings and scale."""
        digest = hashlib.sha256(self.method.config.model_dump_json().encode())
        digest.update(self.spec.model_dump_json(exclude_none=True).encode())
        digest.update(b"reversible" if self.reversible else b"")
        for key, value in sorted(self.method.state_dict().items()):
            digest.update(key.encode())
            plain = value.detach().to("cpu", torch.float32).contiguous()
            digest.update(plain.numpy().tobytes())
        return digest.hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """Return the networks and their training as plain values and tensors."""
        noise_model = self.method.noise_model
        return {
            "name": self.name,
            "config": self.method.config.model_dump(),
            "spec": self.spec.model_dump(),
            "noise_model": None
            if noise_model is None
            else NoiseModelInfo.of(noise_model).model_dump(),
            "training": self.training.model_dump(),
            "trained_on": self.trained_on.model_dump(),
            "weights": dict(self.method.state_dict()),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "TrainedModel":
        """Return the model that `to_plain` described.

        Raises
        ------
        KeyError, ValueError, RuntimeError
            If the values do not describe a model.
        """
        info = plain.get("noise_model")
        method = build_method(
            plain["name"],
            plain["config"],
            DataSpec.model_validate(plain["spec"]),
            None if info is None else NoiseModelInfo.model_validate(info),
        )
        method.load_state_dict(plain["weights"])
        training = TrainingConfig.model_validate(plain["training"])
        trained_on = TrainedOn.model_validate(plain["trained_on"])
        return cls(plain["name"], method.eval(), training, trained_on=trained_on)

    def save(self, path: Path | str) -> None:
        """Write the model file atomically.

        Raises
        ------
        SavingError
            If it cannot be written.
        """
        noise_model = self.method.noise_model
        header = DenoiserHeader(
            package_version=__version__,
            method=self.name,
            config=self.method.config.model_dump(),
            training=self.training,
            spec=self.spec,
            noise_model=None if noise_model is None else NoiseModelInfo.of(noise_model),
            margin=self.margin,
            reversible=self.reversible,
            trained_on=self.trained_on,
            history=dict(self.history),
        )
        write_container(Path(path), header, self.method.state_dict())

    def save_or_rescue(self, path: Path) -> None:
        """Write the model file; if that fails, write it to the temporary folder.

        This saves the training if its disk is full or gone.

        Raises
        ------
        SavingError
            If `path` could not be written; the message names the other file.
        """
        try:
            self.save(path)
        except SavingError as error:
            other = beside(Path(tempfile.gettempdir()) / path.name)
            other = other.with_name(f"{path.stem}-{other.name.lstrip('.')}")
            self.save(other)
            raise SavingError(f"{error}; the model is in {other} instead") from error

    @classmethod
    def load(cls, path: Path | str) -> "TrainedModel":
        """Read a model file. Nothing in it is executed.

        Raises
        ------
        BadModelFileError
            If the file is damaged, foreign, of a newer format, or its weights do
            not fit its settings. This is checked before memory is allocated.
        """
        path = Path(path)
        with open_container(path, "denoiser") as container:
            header = _header(path, container.metadata)
            method = _built(path, header)
            container.load_into(method)
        return cls(
            name=header.method,
            method=method.eval(),
            training=header.training,
            margin=header.margin,
            reversible=header.reversible,
            trained_on=header.trained_on,
            history=header.history,
        )


def build_method(
    name: str,
    config: Mapping[str, Any],
    spec: DataSpec,
    noise_model: NoiseModelInfo | None,
) -> Method[Any]:
    """Return a method's networks with fresh weights.

    Raises
    ------
    BadInputError, ValidationError
        If there is no such method, or its settings are invalid.
    """
    kind = get_method(name)
    assets = Assets(None if noise_model is None else noise_model.build())
    return kind(kind.Config.model_validate(dict(config)), spec, assets)


def _header(path: Path, metadata: Mapping[str, Any]) -> DenoiserHeader:
    try:
        return DenoiserHeader.model_validate(metadata)
    except ValidationError as error:
        raise BadModelFileError(f"{path.name}: its settings are damaged") from error


def _built(path: Path, header: DenoiserHeader) -> Method[Any]:
    if header.method not in METHODS:
        raise BadModelFileError(
            f"{path.name} was made by method {header.method!r}; this version knows "
            f"{', '.join(METHODS)}"
        )
    try:
        with torch.device("meta"):
            return build_method(
                header.method, header.config, header.spec, header.noise_model
            )
    except (ValidationError, BadInputError, ValueError) as error:
        raise BadModelFileError(f"{path.name}: its settings do not work") from error
