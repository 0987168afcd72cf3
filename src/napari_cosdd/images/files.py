"""Files that appear whole or not at all, and never over another one unasked."""

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_cosdd.errors import BadInputError, SavingError


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse to write over something.

    Raises
    ------
    BadInputError
        If `path` exists and `overwrite` is false.
    """
    if path.exists() and not overwrite:
        raise BadInputError(
            f"{path} exists already; choose another name or folder, or --overwrite"
        )


def check_writable(path: Path) -> None:
    """Make the folder of `path` and try to write there, before any long work.

    Raises
    ------
    SavingError
        If it cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = beside(path)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise SavingError(f"{path.parent} cannot be written to: {error}") from error


class atomic:
    """Give a temporary path beside `path`, renamed to it if all went well."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        """Make the temporary file."""
        self.temporary = beside(self.path)
        self.temporary.touch(exist_ok=False)
        self.mode = self.temporary.stat().st_mode  # as the user's umask has it
        return self.temporary

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Rename, or remove what is half written or cannot be renamed."""
        try:
            if kind is None:
                with self.temporary.open("r+b") as written:  # Windows syncs no "rb"
                    os.fsync(written.fileno())
                self.temporary.chmod(self.mode)
                self.temporary.replace(self.path)
        finally:
            with suppress(OSError):  # it is gone if all went well
                self.temporary.unlink()


def beside(path: Path) -> Path:
    """Return a name for a temporary file or folder beside `path`."""
    return path.with_name(f".{uuid.uuid4().hex}{path.suffix}")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write numbers as JSON; the file appears whole or not at all."""
    with atomic(path) as temporary:
        text = json.dumps(dict(content), indent=2) + "\n"
        temporary.write_text(text, encoding="utf-8")
