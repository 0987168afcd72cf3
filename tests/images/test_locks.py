import json
import os
import subprocess
import sys
import time

import pytest

from napari_cosdd.errors import BadInputError
from napari_cosdd.images import locks
from napari_cosdd.images.locks import STALE, Lock, lock_file, locked


def test_one_at_a_time(tmp_path):
    path = tmp_path / "m.safetensors"
    with locked(path) as (_, note):
        assert note is None
        with pytest.raises(BadInputError, match=f"written by process {os.getpid()} on"):
            Lock(path).acquire()
    assert list(tmp_path.iterdir()) == []
    with locked(path):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    path = tmp_path / "m.safetensors"
    code = (
        "import os, sys; from pathlib import Path; "
        "from napari_cosdd.images.locks import Lock; "
        "Lock(Path(sys.argv[1])).acquire(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert lock_file(path).exists()
    with locked(path) as (_, note):
        assert "was killed" in note
    assert list(tmp_path.iterdir()) == []


def owned_by(path, **owner):
    owner = {"host": "elsewhere", "pid": 1, "started": time.time() - 60} | owner
    lock_file(path).write_text(json.dumps(owner))


def test_another_computer_must_show_life(tmp_path):
    path = tmp_path / "m.safetensors"
    owned_by(path)
    with pytest.raises(BadInputError, match="process 1 on elsewhere"):
        Lock(path).acquire()
    old = time.time() - STALE - 1
    os.utime(lock_file(path), (old, old))
    lock = Lock(path)
    assert "was killed" in lock.acquire()
    lock.release()


def test_a_holder_shows_life(tmp_path):
    path = tmp_path / "m.safetensors"
    with locked(path) as (lock, _):
        old = time.time() - 500
        os.utime(lock.file, (old, old))
        lock.show_life()
        assert time.time() - lock.file.stat().st_mtime < 60


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 3}', '{"pid": "x"}'])
def test_debris_is_a_lock_only_while_it_is_young(tmp_path, content):
    path = tmp_path / "m.safetensors"
    lock_file(path).write_text(content)
    with pytest.raises(BadInputError, match="another process"):
        Lock(path).acquire()
    old = time.time() - 60
    os.utime(lock_file(path), (old, old))
    lock = Lock(path)
    lock.acquire()
    lock.release()


def test_another_process_of_the_same_number_is_no_holder(tmp_path):
    """Numbers of processes are used again."""
    import socket

    path = tmp_path / "m.safetensors"
    owned_by(path, host=socket.gethostname(), pid=os.getpid(), started=1.0)
    lock = Lock(path)
    assert lock.acquire() is not None
    lock.release()


def test_two_that_find_the_same_remains_do_not_both_take_over(tmp_path, monkeypatch):
    """While one reads the lock of a dead process, another takes it over."""
    path = tmp_path / "m.safetensors"
    owned_by(path, host="gone", started=1.0)
    os.utime(lock_file(path), (1.0, 1.0))
    slow, fast = Lock(path), Lock(path)
    holder = locks._holder

    def meanwhile(found):
        monkeypatch.setattr(locks, "_holder", holder)
        fast.acquire()
        return holder(found)

    monkeypatch.setattr(locks, "_holder", meanwhile)
    with pytest.raises(BadInputError, match="is being written by process"):
        slow.acquire()
    slow.release()  # does not hold it
    assert lock_file(path).exists()
    fast.release()
    assert list(tmp_path.iterdir()) == []
