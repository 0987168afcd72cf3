"""`napari-cosdd demo`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_cosdd.cli._app import (
    OverwriteOption,
    app,
    console,
    stoppable,
)
from napari_cosdd.cli._options import Command


@app.command(cls=Command)
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(
        "cosdd-demo"
    ),
    minutes: Annotated[
        float, typer.Option(help="Time to train.", min=0.05, max=600)
    ] = 2.0,
    n_samples: Annotated[int, typer.Option(help="Samples of the mean.", min=2)] = 30,
    show: Annotated[
        bool, typer.Option("--show/--no-show", help="Open napari at the end.")
    ] = True,
    overwrite: OverwriteOption = False,
) -> None:
    """Train and denoise the bundled nuclei for two minutes, and show the result."""
    from napari_cosdd.cli._demonstration import run_demo

    with stoppable() as stop:
        run_demo(console, output, minutes, n_samples, overwrite, show, stop)
