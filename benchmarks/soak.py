"""Long work in one process: memory, threads and file handles must not grow."""

import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from rich.console import Console

from benchmarks.common import save
from napari_cosdd import api
from napari_cosdd.datasets.samples import nuclei
from napari_cosdd.events import Finished, StepDone
from napari_cosdd.training.recipe import Recipe

#: Points of each curve.
POINTS = 10
#: Growth of memory over the second half, beyond which it leaks, bytes.
LEAK = 40 << 20


def run(console: Console, steps: int, predictions: int) -> None:
    """Train and predict for long, watch what the process holds."""
    image = nuclei()
    settings = {"max_steps": steps, "device": "cpu"}
    recipe = Recipe.preset().changed(training=settings)
    job = api.prepare_run([image], recipe)
    training: list[dict[str, Any]] = []
    model: Any = None
    for event in job.run():
        if isinstance(event, StepDone) and event.step % max(1, steps // POINTS) == 0:
            training.append({"step": event.step} | held())
        if isinstance(event, Finished):
            model = event.result
    part = np.asarray(image.data)[:512, :512]
    denoising: list[dict[str, Any]] = []
    for n in range(1, predictions + 1):
        api.denoise(part, model, axes="YX", n_samples=4, n_kept=2, device="cpu")
        if n % max(1, predictions // POINTS) == 0:
            denoising.append({"prediction": n} | held())
    _judge(console, "training", training)
    _judge(console, "prediction", denoising)


def _judge(console: Console, name: str, curve: list[dict[str, Any]]) -> None:
    """Print and save a curve, and whether it is flat over its second half."""
    middle, end = curve[len(curve) // 2], curve[-1]
    flat = end["bytes"] - middle["bytes"] < LEAK
    same = all(end[key] <= middle[key] for key in ("threads", "files"))
    console.print(name, "flat" if flat and same else "[red]GROWS[/]", curve)
    save("soak", {name: {"flat": flat and same, "curve": curve}})


def held() -> dict[str, int]:
    """Return memory, threads and open files of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
    }


#: What a training of a moment takes in the dock's forms.
SMALL = {
    "max_steps": "100000",
    "batch_size": 2,
    "crop_size": 32,
    "n_levels": 2,
    "n_channels": 8,
    "n_latents": 2,
    "receptive_field": "5",
}


def rounds(console: Console, n: int) -> None:
    """Open a dock, train, pause, go on, stop and close it, n times."""
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    curve = []
    for i in range(1, n + 1):
        _one_round(application, ViewerModel())
        if i % max(1, n // POINTS) == 0:
            curve.append({"round": i} | held())
    _judge(console, "rounds in the dock", curve)


def _one_round(application: Any, viewer: Any) -> None:
    from qtpy.QtCore import QEvent

    from napari_cosdd.gui import _models
    from napari_cosdd.gui.train_widget import TrainWidget

    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, "a round hangs"
            application.processEvents()
            time.sleep(0.005)

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(_models, "models_folder", return_value=Path(folder)),
    ):
        rng = np.random.default_rng(0)
        viewer.add_image(rng.normal(size=(96, 96)).astype(np.float32), name="noise")
        dock = TrainWidget(viewer)
        form = dock.form
        for part in (form.length_form, form.training_form, form.method_form):
            for name, value in SMALL.items():
                if name in part._widgets:
                    part._widgets[name].value = value
        form.noise.setCurrentIndex(1)
        dock.show()
        dock.train.click()
        session = dock.session
        wait(lambda: session.training is not None)
        assert session.training is not None
        job, record = session.training
        wait(lambda: bool(record.training.steps))
        dock.pause.click()
        wait(lambda: job.state == "paused")
        dock.pause.click()
        dock.stop.click()
        wait(lambda: not job.active)
        dock.close()
        dock.deleteLater()
        application.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        application.processEvents()
