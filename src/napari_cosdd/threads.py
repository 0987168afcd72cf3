"""The number of threads that compute on a CPU: as many as other programs leave cores.

A computation of several threads lasts as long as its slowest one. Where another program
keeps one of two cores busy, a training on one thread takes more than twice as many
steps per second as on two (docs/measurements.md).
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import psutil
import torch

#: Least time over which the load of the cores is measured, seconds.
WINDOW = 3.0
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
    """The number of cores that other programs leave free, measured now and then.

    Parameters
    ----------
    load : callable
        Measures the load now.
    """

    def __init__(self, load: Callable[[], Load]) -> None:
        self._load, self._before = load, load()
        self._free = self._before.cores

    def count(self) -> int:
        """Return the number of free cores, at least one, between the last two looks."""
        before = self._before
        if time.monotonic() - before.time > WINDOW:
            self._before = now = self._load()
            taken = (now.others - before.others) / (now.time - before.time)
            self._free = max(1, math.floor(now.cores - taken + 0.5))
        return self._free


@contextmanager
def threads_for(device: torch.device) -> Iterator[Callable[[], None]]:
    """Context with a function that adapts the threads to the load; call it often.

    It does nothing on a GPU, and where the user fixed the number of threads by
    OMP_NUM_THREADS.
    """
    most = torch.get_num_threads()
    if device.type != "cpu" or most == 1 or FIXED in os.environ:
        yield lambda: None
        return

    def adapt() -> None:
        n = min(most, FREE_CORES.count())
        if n != torch.get_num_threads():
            torch.set_num_threads(n)

    adapt()
    try:
        yield adapt
    finally:
        torch.set_num_threads(most)


def measured_load() -> Load:
    """Return the load of the cores that this program may use."""
    me = psutil.Process()
    every = psutil.cpu_times(percpu=True)
    allowed = range(len(every))
    with suppress(AttributeError):  # macOS gives programs no cores of their own
        allowed = me.cpu_affinity()
    busy = sum(_busy(every[core]) for core in allowed)
    own = me.cpu_times()
    return Load(time.monotonic(), busy - own.user - own.system, len(allowed))


def _busy(times: NamedTuple) -> float:
    """Return the seconds of a core in which it worked.

    Idle and waiting times are left out, and those of guests, which the user's hold.
    """
    idle = ("idle", "iowait", "guest", "guest_nice")
    return sum(t for name, t in times._asdict().items() if name not in idle)


#: Those of this program; measured from the import on.
FREE_CORES = FreeCores(measured_load)
