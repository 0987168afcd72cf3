"""`napari-cosdd train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_cosdd.cli._app import (
    AxesOption,
    ChannelOption,
    FillOption,
    ImagesArgument,
    OverwriteOption,
    RecursiveOption,
    RegionOption,
    SalvageOption,
    app,
    console,
    stoppable,
)
from napari_cosdd.cli._options import Command, field_options
from napari_cosdd.cli._progress import show_training
from napari_cosdd.errors import BadInputError
from napari_cosdd.methods.registry import DEFAULT, METHODS

if TYPE_CHECKING:
    from napari_cosdd.models.trained_model import TrainedModel
    from napari_cosdd.noise_models.base import NoiseModel
    from napari_cosdd.training.recipe import Recipe


@app.command(cls=Command)
@field_options("method", "training")
def train(
    images: ImagesArgument,
    output: Annotated[
        Path, typer.Option(help="Model file to write.", show_default=True)
    ] = Path("model.safetensors"),
    method: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(METHODS)} (default: {DEFAULT}). With --help: the options "
            "of that method."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Settings that go together (default: by device)."),
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option(
            help="File or folder with a target for each image, in the same order: "
            "clean images for care, second noisy ones for n2n."
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="File or folder of noisy images to validate on (default: a part of "
            "the images is held out)."
        ),
    ] = None,
    validation_targets: Annotated[
        Path | None,
        typer.Option(help="Targets of the images to validate on, in the same order."),
    ] = None,
    noise_model: Annotated[
        Path | None,
        typer.Option(help="Noise model file from calibrate, for methods that need it."),
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
    fill: FillOption = None,
    region: RegionOption = None,
    channel: ChannelOption = None,
    salvage: SalvageOption = False,
    recursive: RecursiveOption = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Resume an interrupted training, with its settings unless others "
            "are given.",
        ),
    ] = False,
    init_model: Annotated[
        Path | None,
        typer.Option(help="Start from the weights of this model."),
    ] = None,
    overwrite: OverwriteOption = False,
    **settings: Any,
) -> None:
    """Train a denoiser on noisy images. Ctrl-C stops and keeps the model.

    On several GPUs or machines: torchrun --nproc-per-node 4 -m napari_cosdd train …
    """
    from napari_cosdd import api
    from napari_cosdd.cli._images import found
    from napari_cosdd.images.files import check_no_input, check_output, check_suffix
    from napari_cosdd.images.selection import channel_from
    from napari_cosdd.training.distributed import joined_processes
    from napari_cosdd.training.saving import check_interrupted

    check_suffix(output, ".safetensors")
    init = None if init_model is None else api.load(init_model)
    if init is not None:
        api.check_init_model(init, method, settings)
        if recipe is None and not resume:
            method = init.name  # whose presets give the training
    selected, first_model, first_noise_model = _begun_with(
        output, recipe, method, preset, resume
    )
    selected = selected.with_values(settings)
    if write_recipe is not None:
        check_suffix(write_recipe, ".json")
        check_output(write_recipe, overwrite)
        selected.write(write_recipe)
        console.print(f"wrote {write_recipe}")
        return
    if not resume:
        check_output(output, overwrite)
        check_interrupted(output, overwrite)
    if noise_model is not None:
        check_no_input([output], [noise_model])
    with joined_processes() as processes, stoppable() as stop:
        console.quiet = not processes.is_main

        def given(*paths: Path | None, results: bool = False) -> list[Path] | None:
            chosen = [path for path in paths if path is not None]
            how = {"results": results, "salvage": salvage}
            return found(chosen, recursive, **how) if chosen else None

        request = api.TrainingRequest(
            selected,
            given(*images) or (),
            targets=given(targets, results=True),
            validation=given(validation),
            validation_targets=given(validation_targets, results=True),
            axes=axes,
            salvage=salvage,
            channel=channel_from(channel),
            ndim=ndim,
            fill=fill or "nothing",
            region=region,
            noise_model=noise_model or first_noise_model,
            init_model=init or first_model,
        )
        job = request.prepare(stop)
        show_training(console, job, job.run(output=output, resume=resume, stop=stop))
        if stop():
            raise typer.Exit(130)


def _begun_with(
    output: Path,
    recipe: Path | None,
    method: str | None,
    preset: str | None,
    resume: bool,
) -> "tuple[Recipe[Any], TrainedModel | None, NoiseModel | None]":
    """Return the recipe and, if resumed, the first model and the noise model."""
    from napari_cosdd.training.recipe import Recipe, resumed

    if recipe is not None:
        if preset is not None or method is not None:
            raise BadInputError(
                "a recipe names its method: leave out --method and --preset"
            )
        return Recipe.read(recipe), None, None
    if resume and preset is None and method is None:
        settings, init_model, assets = resumed(output)
        return settings, init_model, assets.noise_model
    return Recipe.preset(method or DEFAULT, preset), None, None
