import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import torch

from napari_cosdd import api, threads
from napari_cosdd.threads import (
    FIXED,
    FreeCores,
    Load,
    leave_a_core,
    measured_load,
    threads_for,
)

CPU = torch.device("cpu")


@pytest.fixture
def two_threads(monkeypatch):
    """Compute with two threads, as a user who did not fix their number."""
    monkeypatch.delenv(FIXED, raising=False)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def cores(monkeypatch):
    """Two cores, of which others take as many as the function was told last."""
    taken, now = 0.0, Load(time.monotonic(), 0.0, 2)

    def load() -> Load:
        nonlocal now
        now = Load(now.time + 1, now.others + taken, 2)
        return now

    def take(others: float) -> None:
        nonlocal taken
        taken = others
        monkeypatch.setattr(threads, "WINDOW", -1e6)  # look at each call

    monkeypatch.setattr(threads, "FREE_CORES", FreeCores(load))
    monkeypatch.setattr(threads, "FIRST", 0.0)
    return take


@pytest.mark.parametrize(
    ("taken", "used"), [(0, 2), (0.3, 2), (0.8, 1), (2, 1), (-0.1, 2)]
)
def test_threads_compute_on_the_cores_that_others_leave(
    two_threads, cores, taken, used
):
    cores(taken)
    with threads_for(CPU):
        assert torch.get_num_threads() == used
    assert torch.get_num_threads() == 2


def test_threads_follow_the_load(two_threads, cores):
    cores(1)
    with threads_for(CPU) as adapt:
        assert torch.get_num_threads() == 1
        cores(0)
        adapt()
        assert torch.get_num_threads() == 2


def test_a_job_beside_an_adapted_one_knows_how_many_threads_there_are(
    two_threads, cores
):
    def beside():
        cores(0)
        with threads_for(CPU):
            return torch.get_num_threads()

    cores(1)
    with threads_for(CPU), ThreadPoolExecutor(1) as pool:
        assert torch.get_num_threads() == 1
        assert pool.submit(beside).result() == 2
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("case", ["fixed by the user", "on a GPU", "unknown"])
def test_threads_stay(two_threads, cores, monkeypatch, case):
    if case == "fixed by the user":
        monkeypatch.setenv(FIXED, "2")
    if case == "unknown":
        monkeypatch.setattr(threads, "FREE_CORES", FreeCores(lambda: None))
    cores(2)
    with threads_for(torch.device("cuda" if case == "on a GPU" else "cpu")) as adapt:
        adapt()
        assert torch.get_num_threads() == 2


def test_a_look_holds_for_some_seconds(cores):
    loads = iter([Load(time.monotonic(), 0, 4), Load(time.monotonic() + 1, 3, 4)])
    free = FreeCores(lambda: next(loads))
    assert [free.count() for _ in range(3)] == [1, 1, 1]


Times = namedtuple("Times", "user system idle iowait guest")


def test_work_of_other_programs_is_counted_and_own_work_is_not(monkeypatch):
    every = [Times(100, 50, 300, 20, 7), Times(9, 9, 9, 9, 9), Times(30, 5, 1, 1, 1)]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: every)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: [0, 2])
    own = Times(60, 10, 0, 0, 0)
    monkeypatch.setattr(psutil.Process, "cpu_times", lambda self: own)
    found = measured_load()
    assert (found.others, found.cores) == (150 + 35 - 70, 2)


@pytest.mark.parametrize("problem", [IndexError, PermissionError, psutil.NoSuchProcess])
def test_a_system_that_does_not_tell_the_load_is_no_error(monkeypatch, problem):
    def refuse(*args, **kwargs):
        raise problem(1)

    monkeypatch.setattr(psutil, "cpu_times", refuse)
    assert measured_load() is None
    monkeypatch.undo()
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: [4096])
    assert measured_load() is None


def test_this_system_tells_the_load():
    first, second = measured_load(), measured_load()
    assert first.cores == second.cores >= 1
    assert second.time >= first.time


@pytest.mark.parametrize("what", ["training", "denoising"])
def test_steps_and_samples_adapt_the_threads(two_threads, cores, model, noisy, what):
    """They would take both cores if they did not ask again after the first look."""
    cores(0)
    seen = []

    def watch(event):
        cores(1)
        seen.append(torch.get_num_threads())

    if what == "training":
        api.fit(noisy, axes="YX", init_model=model, on_event=watch, max_steps=4)
    else:
        settings = {"n_samples": 6, "batch_size": 2, "device": "cpu"}
        api.denoise(noisy, model, axes="YX", on_event=watch, **settings)
    assert seen[0] == 2
    assert 1 in seen[1:]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("cores_there", "used"), [(8, 7), (2, 2)])
def test_a_core_is_left_for_the_window(monkeypatch, cores_there, used):
    monkeypatch.setattr(threads.os, "cpu_count", lambda: cores_there)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(cores_there)
        leave_a_core()
        leave_a_core()  # a thread that is used again gives no second one
        assert torch.get_num_threads() == used
    finally:
        torch.set_num_threads(before)
