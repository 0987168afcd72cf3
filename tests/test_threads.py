import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import torch

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
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cores(monkeypatch):
    """Two cores, of which others take as many as the function is told to."""
    now = Load(time.monotonic() - 9, 0.0, 2)
    monkeypatch.setattr("napari_cosdd.threads.FREE_CORES", FreeCores(lambda: now))
    monkeypatch.setattr("napari_cosdd.threads.WINDOW", 0.0)

    def take(others: float) -> None:
        nonlocal now
        now = Load(now.time + 1, now.others + others, 2)

    return take


@pytest.mark.parametrize(
    ("taken", "used"), [(0, 2), (0.3, 2), (0.8, 1), (2, 1), (-0.1, 2)]
)
def test_threads_compute_on_the_cores_that_others_leave(
    two_threads, cores, taken, used
):
    cores(0)
    with threads_for(CPU) as adapt:
        cores(taken)
        adapt()
        assert torch.get_num_threads() == used
    assert torch.get_num_threads() == 2


def test_threads_follow_the_load_from_the_start_on(two_threads, cores):
    cores(1)
    with threads_for(CPU) as adapt:
        assert torch.get_num_threads() == 1
        cores(0)
        adapt()
        assert torch.get_num_threads() == 2


def test_all_threads_adapt_to_one_look(two_threads, cores, monkeypatch):
    cores(1)
    with threads_for(CPU):
        monkeypatch.setattr("napari_cosdd.threads.WINDOW", 1e6)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(_threads_inside).result() == 1


def _threads_inside():
    torch.set_num_threads(2)
    with threads_for(CPU):
        return torch.get_num_threads()


@pytest.mark.parametrize("case", ["fixed by the user", "on a GPU"])
def test_threads_stay(two_threads, cores, monkeypatch, case):
    if case == "fixed by the user":
        monkeypatch.setenv(FIXED, "2")
    cores(2)
    with threads_for(torch.device("cuda" if case == "on a GPU" else "cpu")) as adapt:
        cores(2)
        adapt()
        assert torch.get_num_threads() == 2


def test_work_of_other_programs_is_counted_and_own_work_is_not():
    before, own = measured_load(), psutil.Process().cpu_times()
    loop = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as other:
        try:
            work = 0.0
            while work < 0.5:
                sum(range(100_000))  # own work meanwhile
                work = psutil.Process(other.pid).cpu_times().user
            mine = psutil.Process().cpu_times().user - own.user
            after = measured_load()
        finally:
            other.kill()
    counted = after.others - before.others
    assert counted >= 0.8 * work
    assert mine > 0
    assert after.cores * (after.time - before.time) >= counted + 0.8 * mine


@pytest.mark.parametrize(("cores_there", "used"), [(8, 7), (2, 2)])
def test_a_core_is_left_for_the_window(monkeypatch, cores_there, used):
    monkeypatch.setattr("napari_cosdd.threads.os.cpu_count", lambda: cores_there)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(cores_there)
        leave_a_core()
        leave_a_core()  # a thread that is used again gives no second one
        assert torch.get_num_threads() == used
    finally:
        torch.set_num_threads(before)
