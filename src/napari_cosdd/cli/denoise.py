"""`napari-cosdd denoise` and `generate`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_cosdd._options import field_options
from napari_cosdd._progress import note, show_denoising
from napari_cosdd.cli._app import (
    AxesOption,
    ImagesArgument,
    MaskOption,
    OverwriteOption,
    app,
    console,
    stoppable,
)
from napari_cosdd.errors import BadInputError

if TYPE_CHECKING:
    from napari_cosdd.cluster import Order
    from napari_cosdd.on_disk import Part
    from napari_cosdd.training.checkpoint import TrainedModel


@app.command()
@field_options("inference")
def denoise(
    model: Annotated[Path, typer.Argument(help="Model file from train.")],
    images: ImagesArgument,
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(
        "denoised"
    ),
    axes: AxesOption = None,
    dtype: Annotated[
        str, typer.Option(help="Of the results: float32, or same as the source.")
    ] = "float32",
    file_format: Annotated[
        str, typer.Option("--format", help="tif, zarr or npy.")
    ] = "tif",
    mask: MaskOption = False,
    part: Annotated[
        str | None,
        typer.Option(
            help="Do a share of the tiles only, such as 2/8, so that eight machines "
            "work on the same images; needs --format zarr."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Let the workers of this dask.distributed scheduler do it, such as "
            "tcp://10.0.0.1:8786; needs --format zarr and a disk that all share."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    **settings: Any,
) -> None:
    """Write the mean, the deviation and single samples of images.

    With --format zarr images may be larger than memory, and what was interrupted
    goes on with the same command.
    """
    from napari_cosdd import api
    from napari_cosdd.cluster import Order, denoising_on_cluster
    from napari_cosdd.on_disk import Part
    from napari_cosdd.results import made_with, result_paths

    share = None if part is None else Part.parse(part)
    if (share or scheduler) and file_format != "zarr":
        raise BadInputError(
            "--part and --scheduler need --format zarr: machines share images on disk"
        )
    trained = api.load(model)
    config = api.inference_config({k: v for k, v in settings.items() if v is not None})
    paths = [p for given in images for p in api.find_images(given)]
    names = api.distinct_names(paths)
    for name in names:
        result_paths(output, name, config, file_format, overwrite)
    output.mkdir(parents=True, exist_ok=True)
    with stoppable() as stop:
        for path, name in zip(paths, names, strict=True):
            order = Order(
                model.resolve(),
                path.resolve(),
                axes,
                name,
                result_paths(output, name, config, file_format, overwrite).resolved(),
                config,
                made_with(model.name, trained, config),
                dtype,
                mask,
            )
            if scheduler is not None:
                events = denoising_on_cluster(scheduler, order, stop)
                written = show_denoising(console, name, events)
            else:
                written = _denoise(order, trained, file_format, share, stop)
            if written is None:
                again = "; the same command goes on" if file_format == "zarr" else ""
                console.print(f"{name} was not finished{again}")
                raise typer.Exit(130)
            for done in written:
                console.print(f"wrote {done}")
            if not written:
                console.print(f"part {part} of {name} is done")


def _denoise(
    order: "Order",
    trained: "TrainedModel",
    file_format: str,
    part: "Part | None",
    stop: Callable[[], bool],
) -> list[Path] | None:
    """Denoise an image here; return the files written, None if stopped."""
    from napari_cosdd import api
    from napari_cosdd.results import write_prediction

    image = order.open()
    for doubt in image.doubts:
        note(console, doubt)
    if file_format == "zarr":
        events = order.on_disk(trained, image, part, stop)
        written: list[Path] | None = show_denoising(console, image.name, events)
        return written
    events = api.denoising(
        trained, image, order.config, dtype=order.dtype, mask=order.mask, stop=stop
    )
    made = show_denoising(console, image.name, events)
    return made and write_prediction(order.paths, made, order.provenance)


@app.command()
def generate(
    model: Annotated[Path, typer.Argument(help="Model file from train.")],
    output: Annotated[Path, typer.Option(help="Folder for the images.")] = Path(
        "generated"
    ),
    like: Annotated[
        Path | None,
        typer.Option(help="Redraw the noise of this image instead: same signal."),
    ] = None,
    n: Annotated[int, typer.Option(help="How many images.", min=1, max=1000)] = 4,
    size: Annotated[int, typer.Option(help="Width and height, pixels.", min=16)] = 256,
    axes: AxesOption = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw new images from the model: clean and noisy, or fresh noise on an image."""
    from napari_cosdd import api
    from napari_cosdd.data.io import write_image
    from napari_cosdd.inference.generate import generate_images, redraw_noise
    from napari_cosdd.results import check_outputs

    trained = api.load(model)
    if like is None:
        names = ["generated-clean", "generated-noisy"]
        paths = check_outputs(output, names, overwrite)
        made = list(generate_images(trained, n, size, seed))
    else:
        image = api.as_images(like, axes)[0]
        names = [f"{image.name}-redrawn-{k + 1}" for k in range(n)]
        paths = check_outputs(output, names, overwrite)
        made = redraw_noise(trained, image, n, seed)
    output.mkdir(parents=True, exist_ok=True)
    for path, drawn in zip(paths, made, strict=True):
        write_image(path, drawn)
        console.print(f"wrote {path}")
