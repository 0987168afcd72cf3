"""Training on a CPU beside a busy program: steps per second, threads fixed or adapted.

Each training is a process of its own; the ways to count threads take turns.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import psutil
from rich.console import Console

from benchmarks.common import save

#: What keeps a core busy, and what trains on the bundled nuclei for some seconds.
BUSY = "while True: pass"
TRAIN = """
import sys, time
from napari_cosdd import api
from napari_cosdd.datasets.samples import nuclei
from napari_cosdd.events import StepDone
times = []
def note(event):
    if isinstance(event, StepDone):
        times.append(time.monotonic())
settings = {"device": "cpu", "max_steps": 10**6, "time_limit": float(sys.argv[1]) / 60}
api.fit(nuclei(), noise_axis="x", on_event=note, **settings)
late = [t for t in times if t > times[0] + float(sys.argv[1]) / 5]  # adapted by then
print((len(late) - 1) / (late[-1] - late[0]))
"""


def run(console: Console, seconds: float, rounds: int) -> None:
    """Print and save the steps per second of each case, the median over rounds."""
    cores = psutil.cpu_count() or 1
    ways = {"adapted": None, "all cores": str(cores), "one thread": "1"}
    found: dict[str, dict[str, float]] = {}
    for case, beside in (("alone", nullcontext), ("beside a busy program", _busy)):
        rates: dict[str, list[float]] = {way: [] for way in ways}
        with beside():
            for _ in range(rounds):
                for way, threads in ways.items():
                    rates[way].append(_rate(seconds, threads))
        found[case] = {way: round(float(np.median(r)), 1) for way, r in rates.items()}
        found[case] |= {"cores": cores, "seconds": seconds}
    console.print(found, highlight=False)
    save("busy", found)


@contextmanager
def _busy() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", BUSY]) as program:
        try:
            yield
        finally:
            program.kill()


def _rate(seconds: float, threads: str | None) -> float:
    """Train; return steps per second."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = threads
    made = subprocess.run(
        [sys.executable, "-c", TRAIN, str(seconds)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(made.stdout.split()[-1])
