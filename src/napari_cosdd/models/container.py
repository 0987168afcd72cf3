"""One file format for denoisers and noise models: safetensors with JSON metadata.

Reading a file executes nothing in it. Tensors keep their types. Files are written
atomically.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import is_zipfile

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_cosdd.errors import BadModelFileError, SavingError
from napari_cosdd.images.files import atomic

#: Version of the metadata. Version 1, of release 0.1.0, has former names of settings.
FORMAT_VERSION = 2
#: Largest metadata that is accepted, bytes; ours are far smaller.
METADATA_LIMIT = 32 << 20
#: Key of our metadata in the file.
KEY = "napari_cosdd"
#: What a file holds.
Content = Literal["denoiser", "noise model"]


class Header(BaseModel):
    """Metadata that every kind of file has."""

    format_version: int = FORMAT_VERSION
    content: Content


def write_container(path: Path, header: Header, tensors: Mapping[str, Tensor]) -> None:
    """Write a file atomically.

    Raises
    ------
    SavingError
        If it cannot be written.
    """
    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    try:
        with atomic(path) as temporary:
            save_file(plain, temporary, {KEY: header.model_dump_json()})
    except (SafetensorError, OSError) as error:
        raise SavingError(f"the model could not be saved: {error}") from error


@dataclass(frozen=True)
class Container:
    """An open file.

    Attributes
    ----------
    path : Path
        Location of the file.
    metadata : mapping
        Metadata of the file; only their size, version and content are validated.
    """

    path: Path
    metadata: Mapping[str, Any]
    _file: Any

    def load_into(self, module: torch.nn.Module) -> None:
        """Load the tensors into a module on the meta device, and validate them.

        Raises
        ------
        BadModelFileError
            If names, shapes or types do not fit, or a value is not finite. Names,
            shapes and types are compared before any memory is taken.
        """
        name = self.path.name
        own_state = module.state_dict()
        expected = {k: (tuple(v.shape), v.dtype) for k, v in own_state.items()}
        stored = {k: self._kind(k) for k in self._file.keys()}  # noqa: SIM118
        for key, (shape, dtype) in stored.items():
            if dtype == torch.float16:  # half precision saves space only in the file
                stored[key] = (shape, torch.float32)
        if expected != stored:
            wrong = sorted(
                k
                for k in expected.keys() | stored.keys()
                if expected.get(k) != stored.get(k)
            )
            raise BadModelFileError(
                f"{name}: {len(wrong)} weights do not fit its settings; the first is "
                f"{wrong[0]}"
            )
        # Clones, since the file stays mapped while its own tensors exist.
        weights = {
            key: self._file.get_tensor(key).to(own.dtype, copy=True)
            for key, own in own_state.items()
        }
        if not all(bool(torch.isfinite(w).all()) for w in weights.values()):
            raise BadModelFileError(f"{name} holds weights that are not finite")
        module.load_state_dict(weights, assign=True)

    def _kind(self, key: str) -> tuple[tuple[int, ...], torch.dtype | str]:
        part = self._file.get_slice(key)
        kind = part.get_dtype()
        return tuple(part.get_shape()), DTYPES.get(kind, kind)


#: Types of tensors that may be read, by their names in the file.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@contextmanager
def open_container(path: Path, content: Content) -> Iterator[Container]:
    """Open a file for reading.

    Raises
    ------
    BadModelFileError
        If the file is missing, damaged, foreign or of a newer format, or does not
        hold `content`.
    """
    if not path.is_file():
        kind = "is no regular file" if path.exists() else "does not exist"
        raise BadModelFileError(f"the model file {path} {kind}")
    if is_zipfile(path):
        raise BadModelFileError(
            f"{path.name} is a zip archive, as PyTorch and bioimage.io write them; "
            "expected a model file of napari-cosdd (.safetensors)"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = _metadata(path, file.metadata() or {})
            _check_content(path, metadata, content)
            yield Container(path, metadata, file)
    except (SafetensorError, OSError) as error:
        raise BadModelFileError(
            f"{path.name} is damaged or no model file ({error})"
        ) from error


def _metadata(path: Path, texts: Mapping[str, str]) -> Mapping[str, Any]:
    text = texts.get(KEY)
    if text is None:
        raise BadModelFileError(
            f"{path.name} was not written by napari-cosdd: it has no settings in it"
        )
    if len(text) > METADATA_LIMIT:
        raise BadModelFileError(f"{path.name}: its settings are implausibly large")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModelFileError(f"{path.name}: its settings are damaged") from error
    if not isinstance(metadata, dict):
        raise BadModelFileError(f"{path.name}: its settings are damaged")
    return metadata


def _check_content(path: Path, metadata: Mapping[str, Any], content: Content) -> None:
    version = metadata.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BadModelFileError(
            f"{path.name} has format {version}, this version reads up to "
            f"{FORMAT_VERSION}: update napari-cosdd"
        )
    actual = metadata.get("content", "denoiser")
    if actual != content:
        raise BadModelFileError(f"{path.name} holds a {actual!s:.40}, not a {content}")
