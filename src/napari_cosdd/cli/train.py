"""`napari-cosdd train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_cosdd.cli._app import (
    AxesOption,
    ImagesArgument,
    MaskOption,
    OverwriteOption,
    app,
    console,
    stoppable,
)
from napari_cosdd.cli._options import field_options
from napari_cosdd.cli._progress import show_training

if TYPE_CHECKING:
    from napari_cosdd.models.trained_model import TrainedModel
    from napari_cosdd.training.recipe import Recipe


@app.command()
@field_options("method", "training")
def train(
    images: ImagesArgument,
    output: Annotated[
        Path, typer.Option(help="Model file to write.", show_default=True)
    ] = Path("model.safetensors"),
    method: Annotated[
        str | None, typer.Option(help="cosdd (the default) or n2v.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="cosdd: quick (laptop, the default), small, large (GPU); n2v: quick, "
            "point."
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Settings from a file instead of a preset.")
    ] = None,
    write_recipe: Annotated[
        Path | None, typer.Option(help="Write the settings to a file and stop.")
    ] = None,
    axes: AxesOption = None,
    ndim: Annotated[
        int,
        typer.Option(
            help="2: planes one by one; 3: stacks with z; 1: lines.", min=1, max=3
        ),
    ] = 2,
    mask: MaskOption = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted training, with its settings unless others "
            "are given.",
        ),
    ] = False,
    start_from: Annotated[
        Path | None,
        typer.Option(help="Begin with the weights of this model."),
    ] = None,
    overwrite: OverwriteOption = False,
    **settings: Any,
) -> None:
    """Train a denoiser on noisy images alone. Ctrl-C stops and keeps the model.

    On several GPUs or machines: torchrun --nproc-per-node 4 -m napari_cosdd train …
    """
    from napari_cosdd import api
    from napari_cosdd.errors import BadInputError
    from napari_cosdd.images.files import check_output
    from napari_cosdd.training.distributed import together
    from napari_cosdd.training.recipe import check_start

    if output.suffix != ".safetensors":
        raise BadInputError(f"{output}: expected a name that ends in .safetensors")
    begun = None if start_from is None else api.load(start_from)
    if begun is not None:
        check_start(begun, method, settings)
    chosen, remembered = _begun_with(output, recipe, method, preset, resume)
    begun = begun or remembered
    chosen = api.with_settings(chosen, settings)
    if write_recipe is not None:
        check_output(write_recipe, overwrite)
        chosen.write(write_recipe)
        console.print(f"wrote {write_recipe}")
        return
    if not resume:
        check_output(output, overwrite)
    with together() as team, stoppable() as stop:
        console.quiet = not team.leads
        opened = [i for path in images for i in api.as_images(path, axes)]
        job = api.prepare_training(
            opened, chosen, ndim=ndim, mask=mask, start=begun, stop=stop
        )
        events = job.run(output=output, resume=resume, stop=stop)
        show_training(console, job, events)
        if stop():
            raise typer.Exit(130)


def _begun_with(
    output: Path,
    recipe: Path | None,
    method: str | None,
    preset: str | None,
    resume: bool,
) -> "tuple[Recipe, TrainedModel | None]":
    """Return the settings, and the model that a resumed training began with."""
    from napari_cosdd.errors import BadInputError
    from napari_cosdd.training.recipe import Recipe, resumed

    if recipe is not None:
        if preset is not None or method is not None:
            raise BadInputError(
                "a recipe names its method: leave out --method and --preset"
            )
        return Recipe.read(recipe), None
    if resume and preset is None and method is None:
        return resumed(output)
    return Recipe.preset(method or "cosdd", preset or "quick"), None
