"""The demonstration: from the bundled noisy nuclei to clean solutions in minutes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from napari_cosdd import api
from napari_cosdd.cli import _pictures
from napari_cosdd.cli._progress import show_denoising, show_training
from napari_cosdd.datasets.samples import nuclei
from napari_cosdd.images.files import check_output
from napari_cosdd.images.formats.any import write_image
from napari_cosdd.prediction.result_files import (
    made_with,
    result_paths,
    write_prediction,
)
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.training.recipe import Recipe

#: Largest number of single samples that are kept.
KEPT = 8


def run_demo(
    console: Console,
    folder: Path,
    minutes: float,
    n_samples: int,
    overwrite: bool,
    show: bool,
    stop: Callable[[], bool],
) -> None:
    """Train, denoise and draw an overview; write all results to `folder`."""
    check_output(folder, overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    image = nuclei()
    model_path = folder / "model.safetensors"
    recipe = Recipe.preset().changed(
        training={"time_limit": minutes, "max_steps": 1_000_000}
    )
    job = api.TrainingRequest(recipe, image).prepare(stop)
    console.print(f"1/3 training on {image.name} for {minutes:g} minutes", style="bold")
    model = show_training(console, job, job.run(output=model_path, stop=stop))
    if model is None:
        return
    console.print("2/3 denoising", style="bold")
    config = PredictionConfig(n_samples=n_samples, n_kept=min(KEPT, n_samples))
    events = api.denoising(model, image, config, stop=stop)
    prediction = show_denoising(console, image.name, events)
    if prediction is None:
        return
    console.print("3/3 writing", style="bold")
    made_by = made_with(model_path.name, model, config, "nothing")
    paths = result_paths(folder, image.name, tuple(prediction.outputs), "tif", True)
    write_prediction(paths, prediction, made_by)
    write_image(folder / "nuclei-noisy.tif", image)
    noise = job.noise or api.analyze(image)
    _pictures.write_overview(
        folder / "overview.png",
        np.asarray(image.data),
        prediction.mean,
        prediction.deviation,
        prediction.samples,
        noise.correlation,
    )
    console.print(f"look at {folder / 'overview.png'}", style="bold")
    if show:
        _open_napari(console, prediction, made_by)


def _open_napari(
    console: Console, prediction: api.Prediction, made_by: dict[str, Any]
) -> None:
    from napari_cosdd.gui.show import can_show, show_prediction

    if can_show():
        show_prediction(prediction, made_by)
    else:
        console.print("no display here: napari was not opened")
