"""Locks: one process at a time writes a model file or a result."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from napari_cosdd.errors import BadInputError, SavingError

#: Seconds between two signs of life; age of the last one from which the lock of another
#: computer counts as left behind.
BEAT, STALE = 30.0, 900.0
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
                if holder := holder_of(self.file):
                    raise BadInputError(
                        f"{self.path} is being written by {holder}; wait for it or "
                        "stop it, or choose another name"
                    )
                note = f"a process that wrote {self.path.name} ended without a word"
                self.file.unlink(missing_ok=True)
        except OSError as error:
            raise SavingError(
                f"{self.file.parent} cannot be written to: {error}"
            ) from (error)
        return note

    def _create(self) -> bool:
        """Create the file, unless there is one."""
        me = psutil.Process()
        owner = {
            "host": socket.gethostname(),
            "pid": me.pid,
            "started": me.create_time(),
        }
        try:
            with self.file.open("x", encoding="utf-8") as file:
                json.dump(owner, file)
        except FileExistsError:
            return False
        return True

    def show_life(self) -> None:
        """Renew the lock's time, so that other computers see that it is held."""
        now = time.monotonic()
        if now - self._beat > BEAT:
            self._beat = now
            with suppress(OSError):
                os.utime(self.file)

    def release(self) -> None:
        """Give the lock back."""
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


def holder_of(file: Path) -> str | None:
    """Describe the running process that holds a lock; None if there is none."""
    try:
        owner: Any = json.loads(file.read_text(encoding="utf-8"))
        host, pid, started = owner["host"], int(owner["pid"]), float(owner["started"])
        age = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, OSError):
        # Perhaps just being written; an old one without an owner is debris.
        with suppress(OSError):
            young = time.time() - file.stat().st_mtime < BEAT
            return "another process" if young else None
        return None
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(started))
    words = f"process {pid} on {host!s:.60}, which runs since {since}"
    if host != socket.gethostname():
        return words if age < STALE else None
    return words if _runs(pid, started) else None


def _runs(pid: int, started: float) -> bool:
    """Whether a process of this computer still runs, not another of its number."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1
    except psutil.Error:
        return False
