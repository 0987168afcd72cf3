"""`python -m docs.screenshots`: the pictures of the README, from the real plugin.

Needs a display; `xvfb-run -a -s "-screen 0 1400x900x24"` gives one.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import napari
import numpy as np
import typer
from qtpy.QtWidgets import QApplication

from napari_cosdd import api
from napari_cosdd.checks.page import write_check
from napari_cosdd.datasets import samples, simulate
from napari_cosdd.gui import _models, _remembered
from napari_cosdd.gui._models import ModelEntry
from napari_cosdd.gui._session import open_dock, session_of
from napari_cosdd.gui.sample_data import PLACE, ZOOM

IMAGES = Path(__file__).parent / "images"
SIZE = (1280, 800)


def wait(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Let the window live for some time, or until something is so."""
    application = QApplication.instance()
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        application.processEvents()
        time.sleep(0.01)


def shoot(viewer: Any, name: str, folder: Path) -> None:
    """Save the whole window as a picture."""
    wait(1.0)
    viewer.window.screenshot(
        str(folder / f"{name}.png"), canvas_only=False, flash=False
    )


def look_closer(viewer: Any) -> None:
    """Zoom in on the nuclei as the sample opens."""
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, *PLACE), ZOOM


def main(
    minutes: Annotated[
        float, typer.Option(help="Of the training; 0: as long as the preset says.")
    ] = 0.0,
    theme: str = "dark",
    folder: Path = IMAGES,
) -> None:
    """Drive the plugin on the nuclei: noise, training, solutions."""
    folder.mkdir(parents=True, exist_ok=True)
    models = Path(tempfile.mkdtemp())
    _models.models_folder = lambda: models
    _remembered.choices_file = lambda: models / "docks.ini"
    viewer = napari.Viewer()
    viewer.theme = theme
    viewer.window.resize(*SIZE)
    viewer.open_sample("napari-cosdd", "nuclei")
    session = session_of(viewer)
    noise = open_dock(viewer, "Noise")
    wait(60, lambda: session.report(viewer.layers["nuclei"]) is not None)
    shoot(viewer, "noise", folder)
    calibrate(viewer, noise, folder)
    noise.use.click()
    train = open_dock(viewer, "Train")
    wait(30, lambda: "About" in train.estimate.text())
    if minutes:
        train.form.length_form._widgets["time_limit"].value = str(minutes)
    train.train.click()
    assert session.training is not None
    job, record = session.training
    wait(1200, lambda: record.progress > 0.6 or not job.active)
    shoot(viewer, "training", folder)
    wait(1200, lambda: not job.active)
    train.view.tabs.setCurrentIndex(1)
    shoot(viewer, "trained", folder)
    train.next.click()
    denoise = open_dock(viewer, "Denoise")
    denoise.samples.n_samples.setValue(30)
    denoise.run.click()
    wait(
        600, lambda: session.denoising is not None and session.denoising.about.complete
    )
    viewer.cursor.position = PLACE
    shoot(viewer, "denoised", folder)
    denoise.before_after.split.click()
    shoot(viewer, "split", folder)
    denoise.before_after.residual.click()
    shoot(viewer, "removed", folder)
    denoise.before_after.residual.click()
    denoise.compare.forth.click()
    shoot(viewer, "sample", folder)
    denoise.compare.grid.click()
    viewer.reset_view()
    shoot(viewer, "grid", folder)
    denoise.compare.grid.click()
    look_closer(viewer)
    check_model(viewer, denoise, folder)
    check_with_reference(viewer, denoise, folder)
    os.sync()
    viewer.close()


def calibrate(viewer: Any, noise: Any, folder: Path) -> None:
    """Show the measurements behind the verdict, then calibrate the camera."""
    noise.why.expand(animate=False)
    shoot(viewer, "why", folder)
    noise.why.collapse(animate=False)
    noise.camera.expand(animate=False)
    noise.calibrate.run.click()
    wait(60, noise.calibrate.density.isVisible)
    wait(0.5)
    noise.scroll.verticalScrollBar().setValue(noise.camera.pos().y())
    shoot(viewer, "calibrate", folder)
    noise.camera.collapse(animate=False)


def check_model(viewer: Any, denoise: Any, folder: Path) -> None:
    """Check the model in the dock, and draw the page of a bad one beside its own."""
    wait(300, lambda: denoise.trust.found is not None)
    denoise.trust.details.expand(animate=False)
    wait(0.5)
    bar = denoise.scroll.verticalScrollBar()
    bar.setValue(denoise.trust.pos().y())
    shoot(viewer, "trust", folder)
    denoise.trust.save_to(folder / "check.png")
    image = samples.nuclei()
    bad = api.fit(image, max_steps=100, pretrained=False, noise_axis="y")
    write_check(folder / "check-bad.png", api.check(image, bad))


def check_with_reference(viewer: Any, denoise: Any, folder: Path) -> None:
    """Check a model on simulated cells, whose clean image is known: dock and page."""
    session = session_of(viewer)
    rng = np.random.default_rng(0)
    clean = simulate.cells((384, 384), rng, n=40)
    noisy = simulate.stripes(clean, rng, gain=0.008, gaussian=0.04, row=0.05)
    model = api.fit(noisy, axes="YX")
    viewer.layers.clear()
    viewer.add_image(clean, name="clean cells")
    layer = viewer.add_image(noisy, name="noisy cells")
    viewer.reset_view()
    session.add_model(ModelEntry("cells", None, model))
    denoise.model.choice.setCurrentText("cells")
    denoise.source.image.choose(layer)
    denoise.compare.reference.choose(viewer.layers["clean cells"])
    denoise.trust.run.click()
    wait(300, lambda: session.checking is not None and not session.checking.job.active)
    denoise.trust.details.collapse(animate=False)
    wait(0.5)
    denoise.scroll.verticalScrollBar().setValue(denoise.trust.pos().y())
    shoot(viewer, "calibrated", folder)
    denoise.trust.save_to(folder / "calibration.png")


if __name__ == "__main__":
    typer.run(main)
