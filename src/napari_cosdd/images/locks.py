"""Locks: one process at a time writes a model file or a result."""

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from napari_cosdd.errors import BadInputError, SavingError

#: Seconds between two signs of life.
BEAT = 30.0
#: Age of the last sign of life from which the lock of another computer counts as left
#: behind, seconds.
STALE = 900.0
#: Suffix of a lock's file, which is hidden and lies beside what it guards.
SUFFIX = ".lock"


class Lock:
    """The exclusive right to write something, held by a file beside it.

    The file names the computer and process that hold it. A lock of a process that is no
    more, or of another computer that has shown no sign of life for `STALE` seconds, is
    taken over.

    Parameters
    ----------
    path : Path
        What is to be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = lock_file(path)
        self.token = uuid.uuid4().hex
        self._beat = 0.0

    def acquire(self) -> str | None:
        """Take the lock; return a sentence if one was left behind.

        Raises
        ------
        BadInputError
            If a running process holds it.
        SavingError
            If its file cannot be written.
        """
        note = None
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            while not self._create():
                found = _read(self.file)
                if found is None:
                    continue  # given back meanwhile
                if holder := _holder(found):
                    raise BadInputError(
                        f"{self.path} is being written by {holder}; wait for it or "
                        "stop it, or choose another name"
                    )
                if self._remove(found):
                    note = f"a process that wrote {self.path.name} was killed"
        except OSError as error:
            folder = self.file.parent
            raise SavingError(f"{folder} cannot be written to: {error}") from error
        return note

    def _create(self) -> bool:
        """Create the file, unless there is one."""
        me = psutil.Process()
        owner = {
            "host": socket.gethostname(),
            "pid": me.pid,
            "started": me.create_time(),
            "token": self.token,
        }
        try:
            with self.file.open("x", encoding="utf-8") as file:
                json.dump(owner, file)
        except FileExistsError:
            return False
        return True

    def _remove(self, found: "_Found") -> bool:
        """Remove the file if it is still the one that was found.

        It is renamed first, which one process alone succeeds in, and put back if
        another process was faster and its file was caught.
        """
        aside = self.file.with_name(f"{self.file.name}-{uuid.uuid4().hex}")
        try:
            self.file.rename(aside)
        except FileNotFoundError:
            return False
        is_same = aside.read_text(encoding="utf-8", errors="replace") == found.text
        if not is_same:
            with suppress(OSError):  # or the disk has no hard links
                os.link(aside, self.file)
        aside.unlink()
        return is_same

    def show_life(self) -> None:
        """Renew the lock's time, so that other computers see that it is held."""
        now = time.monotonic()
        if now - self._beat > BEAT:
            self._beat = now
            with suppress(OSError):
                os.utime(self.file)

    def release(self) -> None:
        """Give the lock back, if it was not taken over meanwhile."""
        found = _read(self.file)
        if found is not None and f'"{self.token}"' in found.text:
            with suppress(OSError):
                self.file.unlink()


@contextmanager
def locked(path: Path) -> Iterator[tuple[Lock, str | None]]:
    """Hold the lock of a path; yield it, and a sentence if one was left behind."""
    lock = Lock(path)
    note = lock.acquire()
    try:
        yield lock, note
    finally:
        lock.release()


def lock_file(path: Path) -> Path:
    """Return the file of the lock of a path."""
    return path.with_name(f".{path.name}{SUFFIX}")


class _Found(NamedTuple):
    """The text of a lock's file, and its age in seconds."""

    text: str
    age: float


def _read(file: Path) -> _Found | None:
    """Read a lock's file; None if there is none."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
        return _Found(text, time.time() - file.stat().st_mtime)
    except FileNotFoundError:
        return None


def holder_of(file: Path) -> str | None:
    """Describe the running process that holds a lock; None if there is none."""
    found = _read(file)
    return None if found is None else _holder(found)


def _holder(found: _Found) -> str | None:
    try:
        owner: Any = json.loads(found.text)
        host, pid, started = owner["host"], int(owner["pid"]), float(owner["started"])
    except (ValueError, TypeError, KeyError):
        # Perhaps just being written; an old one without an owner is debris.
        return "another process" if found.age < BEAT else None
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(started))
    words = f"process {pid} on {host!s:.60}, which runs since {since}"
    if host != socket.gethostname():
        return words if found.age < STALE else None
    return words if _runs(pid, started) else None


def _runs(pid: int, started: float) -> bool:
    """Whether a process of this computer still runs, not another of its number."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1
    except psutil.Error:
        return False
