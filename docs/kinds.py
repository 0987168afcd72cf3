"""`python -m docs.kinds FOLDER`: the docks on images of many kinds, as pictures.

Drives Noise, Train and Denoise in a real window, at any size and theme, for somebody to
look at; needs a display, such as `xvfb-run -a -s "-screen 0 1280x800x24"`. Ends with
code 1 if a job failed.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import dask.array as da
import napari
import numpy as np
import typer

from docs.screenshots import shoot, wait
from napari_cosdd.datasets.samples import nuclei
from napari_cosdd.gui import _models, _remembered
from napari_cosdd.gui._session import open_dock, session_of
from napari_cosdd.gui.sample_data import movie

#: Largest number of pixels that are denoised here.
DENOISED = 1 << 22


def five_axes(rng: np.random.Generator) -> Any:
    """Return a small T, Z, C, Y, X stack without names of its axes."""
    light = 100 + 50 * np.sin(np.arange(96) / 9)
    return rng.poisson(light, (3, 5, 2, 96, 96)).astype(np.uint16)


def below_zero(rng: np.random.Generator) -> Any:
    """Return an int16 image with negative values."""
    signal = 30 * np.sin(np.arange(240) / 11)
    return (rng.normal(-50, 20, (200, 240)) + signal).astype(np.int16)


def volume(rng: np.random.Generator) -> Any:
    """Return a z-stack without names of its axes."""
    return rng.poisson(80, (24, 128, 160)).astype(np.float32)


def tiny(rng: np.random.Generator) -> Any:
    """Return an image that is smaller than the usual crops."""
    return (100 + rng.normal(0, 10, (40, 40))).astype(np.float32)


def huge(rng: np.random.Generator) -> Any:
    """Return an image that is computed where it is looked at."""
    random = da.random.default_rng(0)
    return random.poisson(100, (8192, 8192), chunks=(1024, 1024)).astype(np.uint16)


KINDS: dict[str, Callable[[np.random.Generator], Any]] = {
    "nuclei": lambda rng: np.asarray(nuclei().data),
    "movie": lambda rng: movie()[-1][0][:12],
    "five-axes": five_axes,
    "below-zero": below_zero,
    "volume": volume,
    "tiny": tiny,
    "huge": huge,
}


def main(
    folder: Path,
    kinds: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(KINDS),
    width: int = 1280,
    height: int = 800,
    theme: str = "dark",
    steps: int = 60,
) -> None:
    """Drive the docks on each kind of image; write a picture of each."""
    folder.mkdir(parents=True, exist_ok=True)
    models = Path(tempfile.mkdtemp())
    _models.models_folder = lambda: models
    _remembered.choices_file = lambda: models / "docks.ini"
    failed = []
    for kind in kinds.split(","):
        viewer = napari.Viewer()
        viewer.theme = theme
        viewer.window.resize(width, height)
        wait(1, lambda: False)  # until the canvas has its size
        viewer.add_image(KINDS[kind](np.random.default_rng(0)), name=kind)
        error = drive(viewer, kind, folder, steps)
        print(f"{kind}: {error or 'done'}", flush=True)
        if error:
            failed.append(kind)
    sys.stdout.flush()
    os._exit(bool(failed))  # windows that close one after another upset OpenGL


def drive(viewer: Any, kind: str, folder: Path, steps: int) -> str:
    """Drive the three docks on the only layer; return the error of a job, or ""."""
    session, layer = session_of(viewer), viewer.layers[kind]
    noise = open_dock(viewer, "Noise")
    wait(60, lambda: session.report(layer) is not None or noise.problem.isVisible())
    shoot(viewer, f"{kind}-noise", folder)
    if noise.use.isEnabled():
        noise.use.click()
    train = open_dock(viewer, "Train")
    wait(30, lambda: train.estimate.text().startswith(("About", "⚠")))
    shoot(viewer, f"{kind}-train", folder)
    train.form.length_form._widgets["max_steps"].value = str(steps)
    train.train.click()
    if session.training is None:
        return str(train.problem.text.text())
    job, record = session.training
    wait(300, lambda: not job.active)
    shoot(viewer, f"{kind}-trained", folder)
    if job.error is not None or record.result is None:
        return str(job.error)
    train.next.click()
    denoise = open_dock(viewer, "Denoise")
    if np.prod(layer.data.shape) > DENOISED:
        shoot(viewer, f"{kind}-denoise", folder)
        return ""
    denoise.samples.n_samples.setValue(4)
    denoise.samples.n_kept.setValue(2)
    denoise.run.click()
    assert session.denoising is not None
    job, _ = session.denoising
    wait(300, lambda: not job.active)
    wait(120, lambda: session.checking is None or not session.checking.job.active)
    shoot(viewer, f"{kind}-denoise", folder)
    denoise.scroll.verticalScrollBar().setValue(10_000)
    shoot(viewer, f"{kind}-trust", folder)
    denoise.compare.grid.click()
    shoot(viewer, f"{kind}-grid", folder)
    denoise.compare.grid.click()
    return "" if job.error is None else str(job.error)


if __name__ == "__main__":
    typer.run(main)
