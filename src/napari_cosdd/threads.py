"""The number of threads that compute on a CPU: as many as other programs leave cores.

A computation of several threads lasts as long as its slowest one. Where another program
keeps one of two cores busy, a training on one thread takes more than twice as many
steps per second as on two (docs/measurements.md).
"""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psutil
import torch

#: Time over which the load of the cores is measured, seconds.
WINDOW = 3.0
#: Time of a first look at the load, seconds.
FIRST = 0.2
#: Number of cores up to which none is left free for the window.
FEW_CORES = 3
#: Environment variable with which users fix the number of threads.
FIXED = "OMP_NUM_THREADS"


def leave_a_core() -> None:
    """Let this thread use all cores but one, which stays free for the window.

    With three cores or fewer, all are used.
    """
    cores = os.cpu_count() or 1
    if cores > FEW_CORES:
        torch.set_num_threads(min(torch.get_num_threads(), cores - 1))


class Load(NamedTuple):
    """What the cores that this program may use have done since some start.

    Attributes
    ----------
    time : float
        Seconds.
    others : float
        Seconds of work for other programs, summed over the cores.
    cores : int
        Number of cores.
    """

    time: float
    others: float
    cores: int


class FreeCores:
    """The number of cores that other programs leave free, for all threads.

    Parameters
    ----------
    load : callable
        Measures the load now; None if the system does not tell it.
    """

    def __init__(self, load: Callable[[], Load | None]) -> None:
        self._load, self._lock = load, threading.Lock()
        self._before: Load | None = None
        self._free: int | None = None

    def count(self) -> int | None:
        """Return the number of free cores in the last seconds, at least one.

        The first call, and one after a pause, takes a fifth of a second. None: it is
        not known.
        """
        with self._lock:
            if self._before is None or _age(self._before) > 2 * WINDOW:
                self._before = self._load()
                time.sleep(FIRST)
                self._look()
            elif _age(self._before) > WINDOW:
                self._look()
            return self._free

    def _look(self) -> None:
        """Count the cores that were free since the last look."""
        before, now = self._before, self._load()
        self._before, self._free = now, None
        if before is not None and now is not None:
            taken = (now.others - before.others) / (now.time - before.time)
            self._free = max(1, math.floor(now.cores - taken + 0.5))


def _age(load: Load) -> float:
    return time.monotonic() - load.time


class _Most:
    """The largest number of threads, before any of them were adapted.

    PyTorch gives a number that is set in one thread to all that begin later.
    """

    def __init__(self) -> None:
        self._lock, self._adapting, self._most = threading.Lock(), 0, 1

    @contextmanager
    def known(self) -> Iterator[int]:
        """Context with the number, which this thread has again at its end."""
        with self._lock:
            if not self._adapting:
                self._most = torch.get_num_threads()
            self._adapting += 1
        try:
            yield self._most
        finally:
            with self._lock:
                self._adapting -= 1
                torch.set_num_threads(self._most)


@contextmanager
def threads_for(device: torch.device) -> Iterator[Callable[[], None]]:
    """Context with a function that adapts the threads to the load; call it often.

    It does nothing on a GPU, where the load is unknown, and where the user fixed the
    number of threads by OMP_NUM_THREADS.
    """
    if device.type != "cpu" or FIXED in os.environ:
        yield lambda: None
        return
    with MOST.known() as most:

        def adapt() -> None:
            free = FREE_CORES.count() if most > 1 else None
            n = most if free is None else min(most, free)
            if n != torch.get_num_threads():
                torch.set_num_threads(n)

        adapt()
        yield adapt


def measured_load() -> Load | None:
    """Return the load of the cores that this program may use; None: it is not told."""
    try:
        me = psutil.Process()
        every, own = psutil.cpu_times(percpu=True), me.cpu_times()
        allowed = range(len(every))
        if hasattr(me, "cpu_affinity"):  # not on macOS
            allowed = me.cpu_affinity()
        busy = sum(_busy(every[core]) for core in allowed)
    except (psutil.Error, OSError, IndexError):  # in some containers
        return None
    return Load(time.monotonic(), busy - own.user - own.system, len(allowed))


def _busy(times: NamedTuple) -> float:
    """Return the seconds of a core in which it worked.

    Idle and waiting times are left out, and those of guests, which the user's hold.
    """
    idle = ("idle", "iowait", "guest", "guest_nice")
    return sum(t for name, t in times._asdict().items() if name not in idle)


#: Those of this program.
FREE_CORES, MOST = FreeCores(measured_load), _Most()
