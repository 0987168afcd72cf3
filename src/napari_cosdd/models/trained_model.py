"""The model file: one safetensors file, safe to open from a stranger."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_cosdd._version import __version__
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.errors import BadModelFileError, SavingError
from napari_cosdd.images.files import atomic, beside
from napari_cosdd.methods import METHODS, get_method
from napari_cosdd.methods.base import Method
from napari_cosdd.settings.training import TrainingConfig

FORMAT_VERSION = 1
#: Metadata larger than this is not ours.
METADATA_LIMIT = 32 << 20


class ModelInfo(BaseModel):
    """The metadata of a model file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    package_version: str
    method: str
    config: dict[str, Any]
    training: TrainingConfig
    spec: DataSpec
    margin: tuple[Annotated[int, Field(ge=0, le=4096)], ...] | None = None
    reversible: bool = False
    trained_on: TrainedOn = TrainedOn()
    history: dict[str, list[float | None]] = {}

    @model_validator(mode="after")
    def _margin_fits(self) -> Self:
        if self.margin is not None and len(self.margin) != self.spec.ndim:
            raise ValueError("the margin needs a number for each spatial axis")
        return self


@dataclass(frozen=True)
class TrainedModel:
    """A trained method with all that is needed to use, judge and continue it.

    Attributes
    ----------
    name : str
        Of the method, as in METHODS.
    method : Method
        Its networks, with averaged weights, in evaluation mode.
    training : TrainingConfig
        How it was trained.
    margin : tuple of int or None
        Context in pixels per axis that a tile needs, where measured.
    reversible : bool
        Whether the noise was measured to be the same backwards along its axis.
    trained_on : TrainedOn
        Names, shapes and statistics of the training data, and their hash.
    history : mapping
        Columns of equal length: "step", "loss" and so on; None where not measured.
    """

    name: str
    method: Method
    training: TrainingConfig
    margin: tuple[int, ...] | None = None
    reversible: bool = False
    trained_on: TrainedOn = field(default_factory=TrainedOn)
    history: Mapping[str, list[float | None]] = field(default_factory=dict)

    @property
    def spec(self) -> DataSpec:
        """What the data were like."""
        return self.method.spec

    @property
    def tile_margin(self) -> tuple[int, ...]:
        """Context that a tile needs, pixels per axis: measured, else computed."""
        return self.margin or self.method.tile_margin()

    @property
    def symmetries(self) -> tuple[int, ...]:
        """Spatial axes along which a flip leaves the law of the noise as it is."""
        every = range(self.spec.ndim)
        return tuple(every) if self.reversible else self.method.symmetries()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the networks, their settings and their scale: of what they do."""
        digest = hashlib.sha256(self.method.config.model_dump_json().encode())
        digest.update(self.spec.model_dump_json().encode())
        digest.update(b"reversible" if self.reversible else b"")
        for key, value in sorted(self.method.state_dict().items()):
            digest.update(key.encode())
            plain = value.detach().to("cpu", torch.float32).contiguous()
            digest.update(plain.numpy().tobytes())
        return digest.hexdigest()

    def plain(self) -> dict[str, Any]:
        """Return networks and what they were trained on as plain values and tensors."""
        return {
            "name": self.name,
            "config": self.method.config.model_dump(),
            "spec": self.spec.model_dump(),
            "training": self.training.model_dump(),
            "trained_on": self.trained_on.model_dump(),
            "weights": dict(self.method.state_dict()),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "TrainedModel":
        """Return the model that `plain` was made of.

        Raises
        ------
        KeyError, ValueError, RuntimeError
            If the values are none of a model.
        """
        kind = get_method(plain["name"])
        spec = DataSpec.model_validate(plain["spec"])
        method = kind(kind.Config.model_validate(plain["config"]), spec)
        method.load_state_dict(plain["weights"])
        training = TrainingConfig.model_validate(plain["training"])
        trained_on = TrainedOn.model_validate(plain["trained_on"])
        return cls(plain["name"], method.eval(), training, trained_on=trained_on)

    def save(self, path: Path | str) -> None:
        """Write the model file; it appears whole or not at all."""
        info = ModelInfo(
            format_version=FORMAT_VERSION,
            package_version=__version__,
            method=self.name,
            config=self.method.config.model_dump(),
            training=self.training,
            spec=self.spec,
            margin=self.margin,
            reversible=self.reversible,
            trained_on=self.trained_on,
            history=dict(self.history),
        )
        weights = {
            key: value.detach().to("cpu", torch.float32).contiguous()
            for key, value in self.method.state_dict().items()
        }
        try:
            with atomic(Path(path)) as temporary:
                save_file(weights, temporary, {"napari_cosdd": info.model_dump_json()})
        except (SafetensorError, OSError) as error:
            raise SavingError(f"the model could not be saved: {error}") from error

    def save_or_rescue(self, path: Path) -> None:
        """Write the model file; where that fails, into the folder for temporary files.

        A training is never lost because its disk is.

        Raises
        ------
        SavingError
            If `path` could not be written; it says where the model is instead.
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
            not fit its settings. Checked before any memory is taken for them.
        """
        path = Path(path)
        if not path.is_file():
            raise BadModelFileError(f"there is no model file {path}")
        try:
            with safe_open(path, framework="pt") as file:
                info = _info(path, file.metadata() or {})
                with torch.device("meta"):
                    method = _build(path, info)
                _check_weights(path, method, file)
                # A copy, for the file stays mapped as long as its own tensors live.
                keys = file.keys()
                weights = {key: file.get_tensor(key).clone() for key in keys}
        except (SafetensorError, OSError) as error:
            raise BadModelFileError(
                f"{path.name} is damaged or no model file ({error})"
            ) from error
        if not all(bool(torch.isfinite(w).all()) for w in weights.values()):
            raise BadModelFileError(f"{path.name} holds weights that are not finite")
        method.load_state_dict(weights, assign=True)
        return cls(
            name=info.method,
            method=method.eval(),
            training=info.training,
            margin=info.margin,
            reversible=info.reversible,
            trained_on=info.trained_on,
            history=info.history,
        )


def _info(path: Path, metadata: Mapping[str, str]) -> ModelInfo:
    text = metadata.get("napari_cosdd")
    if text is None:
        raise BadModelFileError(
            f"{path.name} was not written by napari-cosdd: it has no settings in it"
        )
    if len(text) > METADATA_LIMIT:
        raise BadModelFileError(f"{path.name}: its settings are implausibly large")
    try:
        found = json.loads(text).get("format_version")
        if isinstance(found, int) and found > FORMAT_VERSION:
            raise BadModelFileError(
                f"{path.name} has format {found}, this version reads up to "
                f"{FORMAT_VERSION}: update napari-cosdd"
            )
        return ModelInfo.model_validate_json(text)
    except (ValueError, AttributeError) as error:
        if isinstance(error, BadModelFileError):
            raise
        raise BadModelFileError(f"{path.name}: its settings are damaged") from error


def _build(path: Path, info: ModelInfo) -> Method:
    if info.method not in METHODS:
        raise BadModelFileError(
            f"{path.name} was made by method {info.method!r}; this version knows "
            f"{', '.join(METHODS)}"
        )
    kind = get_method(info.method)
    try:
        return kind(kind.Config.model_validate(info.config), info.spec)
    except (ValidationError, ValueError) as error:
        raise BadModelFileError(f"{path.name}: its settings do not work") from error


def _check_weights(path: Path, method: Method, file: Any) -> None:
    expected = {k: tuple(v.shape) for k, v in method.state_dict().items()}
    slices = {k: file.get_slice(k) for k in file.keys()}  # noqa: SIM118
    kinds = {s.get_dtype() for s in slices.values()}
    if not kinds <= {"F32"}:
        raise BadModelFileError(
            f"{path.name} holds weights of type {', '.join(sorted(kinds))}; expected "
            "F32"
        )
    found = {k: tuple(s.get_shape()) for k, s in slices.items()}
    if expected != found:
        wrong = sorted(
            k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k)
        )
        raise BadModelFileError(
            f"{path.name}: {len(wrong)} weights do not fit its settings, "
            f"{wrong[0]} the first"
        )
