"""Atomic writing of files, and protection of existing ones."""

import json
import math
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_cosdd._formatting import memory as in_gb
from napari_cosdd.errors import BadInputError, SavingError
from napari_cosdd.remedies import Remedy

#: Seconds between attempts to rename what another program has open.
WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse to overwrite a file or folder.

    Raises
    ------
    BadInputError
        If `path` exists and `overwrite` is false.
    """
    if path.exists() and not overwrite:
        raise BadInputError(f"{path} exists already; {Remedy.OVERWRITE}")


def check_suffix(path: Path, suffix: str) -> None:
    """Refuse to write a file under a name of another kind, such as that of an image.

    Raises
    ------
    BadInputError
        If the name does not end in `suffix`.
    """
    if path.suffix.lower() != suffix:
        raise BadInputError(f"{path}: expected a name that ends in {suffix}")


def check_no_input(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to write over a file that is read, even where overwriting is allowed.

    Raises
    ------
    BadInputError
        If an output is one of the inputs.
    """
    read = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in read:
            raise BadInputError(
                f"{path} is one of the inputs, which are never written over: choose "
                "another name or folder"
            )


def check_space(folder: Path, n_bytes: int) -> None:
    """Refuse work whose results have no room on a disk.

    Raises
    ------
    SavingError
        If less than `n_bytes` are free.
    """
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise SavingError(
            f"the results take about {in_gb(n_bytes)}, and {folder} has "
            f"{in_gb(free)} free: choose another folder, keep fewer samples, or make "
            "room"
        )


def check_writable(*paths: Path) -> None:
    """Create the folders of files and test that the files can be written.

    Raises
    ------
    SavingError
        If a folder cannot be written to, or the name of a file is not allowed there.
    """
    for path in paths:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            probe = beside(path)
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as error:
            raise SavingError(f"{path.parent} cannot be written to: {error}") from error
        try:
            with suppress(FileExistsError):
                path.touch(exist_ok=False)
                path.unlink()
        except (OSError, ValueError) as error:
            raise SavingError(
                f"a file cannot be called {path.name}: {error}; choose another name"
            ) from error


class atomic:
    """Context with a temporary file that is renamed to `path` on success."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        """Create the temporary file and return its path."""
        self.temporary = beside(self.path)
        self.temporary.touch(exist_ok=False)
        self.mode = self.temporary.stat().st_mode  # respects the user's umask
        return self.temporary

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Rename the file on success; delete it after any error."""
        try:
            if kind is None:
                with self.temporary.open("r+b") as written:  # Windows cannot sync "rb"
                    os.fsync(written.fileno())
                self.temporary.chmod(self.mode)
                rename(self.temporary, self.path)
        finally:
            with suppress(OSError):  # after a rename there is none
                self.temporary.unlink()


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder; a file takes the place of another one.

    On Windows, programs that look for viruses or copy to a cloud open new files for a
    moment, in which they cannot be renamed: then again, for some seconds.
    """
    for wait in (*WAITS, None):
        try:
            source.replace(target)
        except PermissionError:
            if wait is None or sys.platform != "win32":
                raise
            time.sleep(wait)
        else:
            return


def beside(path: Path) -> Path:
    """Return a name for a temporary file or folder beside `path`."""
    return path.with_name(f".{secrets.token_hex(6)}{path.suffix}")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as JSON, atomically; numbers that are not finite become null."""
    with atomic(path) as temporary:
        text = json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def _finite(value: Any) -> Any:
    """Return a value for JSON, which knows no infinity."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
