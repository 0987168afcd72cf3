"""The window while it trains: how long it is deaf, and what the plugin costs."""

import json
import multiprocessing
import subprocess
import sys
import time
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.common import save
from napari_cosdd import api
from napari_cosdd.datasets.samples import nuclei
from napari_cosdd.events import StepDone
from napari_cosdd.training.recipe import Recipe

#: Interval of the timer whose delays are measured, seconds.
TICK = 0.01
#: Start of a training that is not measured, seconds.
SETTLE = 3.0


def run(console: Console, seconds: float, rounds: int) -> None:
    """Train in turn headless and in the plugin; print and save gaps and speeds.

    The headless training has a process of its own: once two threads of a process have
    computed with OpenMP, its workers hardly spin, and two of them take half the steps.
    """
    import napari

    viewer = napari.Viewer()
    viewer.open_sample("napari-cosdd", "nuclei")
    headless, plugin, gaps = [], [], []
    for _ in range(rounds):
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            headless.append(alone.apply(_headless, (seconds,)))
        speed, delays = _in_plugin(viewer, seconds)
        plugin.append(speed)
        gaps.append(delays)
    together = 1000 * np.concatenate(gaps)
    result = {
        "seconds": seconds,
        "rounds": rounds,
        "headless_steps_per_s": np.round(headless, 2).tolist(),
        "plugin_steps_per_s": np.round(plugin, 2).tolist(),
        "ratio": round(float(np.median(np.divide(plugin, headless))), 3),
        "gap_ms_median": round(float(np.median(together)), 1),
        "gap_ms_99": round(float(np.quantile(together, 0.99)), 1),
        "gap_ms_longest": round(float(together.max()), 1),
    }
    console.print(result)
    opening = [_opening() for _ in range(rounds)]
    found = {key: float(np.median([o[key] for o in opening])) for key in opening[0]}
    console.print("seconds from the click on the menu", found)
    save("gui", {"quick on the nuclei": result, "first dock, seconds": found})
    viewer.close()


def _opening() -> dict[str, float]:
    """Return the times of the first dock, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.opening"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def _headless(seconds: float) -> float:
    """Return steps per second of a training without a window's help."""
    recipe = Recipe.preset().changed(training={"time_limit": (SETTLE + seconds) / 60})
    job = api.prepare_run([nuclei()], recipe)
    return _speed([e for e in job.run() if isinstance(e, StepDone)])


def _in_plugin(viewer: Any, seconds: float) -> tuple[float, Any]:
    """Train in the dock; return steps per second and the gaps of the event loop."""
    from qtpy.QtCore import QEventLoop, QTimer

    from napari_cosdd.gui._session import open_dock, session_of

    session, dock = session_of(viewer), open_dock(viewer, "Train")
    limit = dock.form.length_form._widgets["time_limit"]
    limit.value = f"{(SETTLE + seconds) / 60:.4f}"
    dock._train()
    assert session.training is not None
    job, _ = session.training
    steps: list[StepDone] = []
    ticks: list[float] = []
    job.advanced.connect(lambda es: steps.extend(e for e in es if type(e) is StepDone))
    loop = QEventLoop()

    def tick() -> None:
        # The start of the training and its end are not its course.
        if steps and steps[-1].seconds > SETTLE and steps[-1].progress < 0.98:
            ticks.append(time.perf_counter())

    timer = QTimer(interval=round(1000 * TICK))
    timer.timeout.connect(tick)
    timer.start()
    job.changed.connect(lambda: None if job.active else loop.quit())
    loop.exec()
    timer.stop()
    return _speed(steps), np.maximum(0, np.diff(ticks) - TICK)


def _speed(steps: list[StepDone]) -> float:
    """Return steps per second of the training's own clock, after it has settled."""
    settled = [s for s in steps if s.seconds > SETTLE]
    return len(settled) / (settled[-1].seconds - SETTLE)
