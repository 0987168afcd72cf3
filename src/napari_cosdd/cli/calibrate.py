"""`napari-cosdd calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_cosdd.cli._app import (
    AxesOption,
    ImagesArgument,
    OverwriteOption,
    SalvageOption,
    app,
    console,
)
from napari_cosdd.cli._options import Command
from napari_cosdd.cli._progress import note
from napari_cosdd.noise_models.registry import NOISE_MODELS


@app.command(cls=Command)
def calibrate(
    images: ImagesArgument,
    clean: Annotated[
        Path | None,
        typer.Option(
            help="Clean image of the same scene. Without it the images are repeats of "
            "a static scene, and their mean is taken for the signal; for poisson_gauss "
            "a single noisy image suffices, for autoregressive a single dark one."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model file: the mean that it makes of the image is taken for the "
            "signal, in place of --clean (bootstrapping)."
        ),
    ] = None,
    kind: Annotated[str, typer.Option(help=f"{', '.join(NOISE_MODELS)}.")] = "mixture",
    output: Annotated[Path, typer.Option(help="Noise model file to write.")] = Path(
        "noise-model.safetensors"
    ),
    axes: AxesOption = None,
    salvage: SalvageOption = False,
    repeats: Annotated[
        bool, typer.Option(help="The planes of a series show one static scene.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Measure a camera's noise model, for methods that need one."""
    from napari_cosdd import api
    from napari_cosdd.cli._images import opened, opened_one
    from napari_cosdd.images.files import check_no_input, check_output, check_suffix

    check_suffix(output, ".safetensors")
    check_output(output, overwrite)
    check_no_input([output], [] if model is None else [model])
    calibration = api.calibration(
        opened(images, axes, salvage=salvage),
        clean=None if clean is None else opened_one(clean, axes),
        model=model,
        kind=kind,
        seed=seed,
        output=output,
        repeats=repeats,
    )
    found = calibration.model
    low, high = found.signal_range
    console.print(f"{found.title}, measured at signals from {low:.4g} to {high:.4g}")
    if calibration.warning is not None:
        note(console, calibration.warning)
    console.print(f"wrote {output}")
