"""`napari-cosdd denoise`."""

from collections.abc import Callable, Iterator
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
from napari_cosdd.cli._progress import note, show_denoising
from napari_cosdd.errors import BadInputError

if TYPE_CHECKING:
    from napari_cosdd.events import Event
    from napari_cosdd.images.image import Image
    from napari_cosdd.images.locks import Lock
    from napari_cosdd.models.trained_model import TrainedModel
    from napari_cosdd.prediction.cluster import DenoisingInput
    from napari_cosdd.prediction.request import DenoiseRequest, Share


@app.command(cls=Command)
@field_options("prediction")
def denoise(
    model: Annotated[Path, typer.Argument(help="Model file from train.")],
    images: ImagesArgument,
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(
        "denoised"
    ),
    axes: AxesOption = None,
    dtype: Annotated[
        str, typer.Option(help="Type of the results: float32, or same as the source.")
    ] = "float32",
    file_format: Annotated[
        str, typer.Option("--format", help="tif, zarr or npy.")
    ] = "tif",
    fill: FillOption = None,
    region: RegionOption = None,
    channel: ChannelOption = None,
    salvage: SalvageOption = False,
    recursive: RecursiveOption = False,
    share: Annotated[
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
    from napari_cosdd.cli._images import found
    from napari_cosdd.images.files import check_no_input, check_writable
    from napari_cosdd.images.selection import channel_from
    from napari_cosdd.prediction.cluster import DenoisingInput
    from napari_cosdd.prediction.on_disk import written_before
    from napari_cosdd.prediction.outputs import outputs_of
    from napari_cosdd.prediction.request import DenoiseRequest, Share
    from napari_cosdd.prediction.result_files import left_over, made_with, result_paths

    mine = None if share is None else Share.parse(share)
    if (mine or scheduler) and file_format != "zarr":
        raise BadInputError(
            "--share and --scheduler need --format zarr: machines share images on disk"
        )
    if region and file_format == "zarr":
        raise BadInputError(
            "--region goes with --format tif or npy: with zarr the whole image is done"
        )
    trained = api.load(model)
    config = api.PredictionConfig.from_values(settings)
    paths = found(images, recursive)
    names = api.distinct_names(paths)
    number = channel_from(channel)
    if isinstance(number, int):
        names = [f"{name}-c{number}" for name in names]
    outputs = outputs_of(trained.method, config)
    made_by = made_with(model.name, trained, config, trained.filling(fill))
    made_by |= {"region": region} if region else {}
    work = []
    for path, name in zip(paths, names, strict=True):
        # Existing zarr results may be of an interrupted run; they are compared below.
        replace = overwrite or file_format == "zarr"
        # Absolute paths, since cluster workers may have other working directories.
        places = result_paths(output.absolute(), name, outputs, file_format, replace)
        source = DenoisingInput(
            model.absolute(), path.absolute(), axes, name, salvage, number
        )
        work.append(
            (source, DenoiseRequest(places, config, made_by, dtype, fill, region))
        )
    done = set()
    if file_format == "zarr" and not overwrite:
        done = {s.name for s, o in work if written_before(trained, s.open, o)}
    for _, request in work:
        check_no_input(request.paths.values(), [model, *paths])
        check_writable(*request.paths.values())
    with stoppable() as stop:
        for source, request in work:
            name = source.name
            if name in done:
                console.print(f"{name} was done before")
                continue
            if overwrite and (old := left_over(request.paths)):
                listed = ", ".join(one.name for one in old)
                note(console, f"left from an earlier run: {listed}")
            if scheduler is not None:
                written = _on_cluster(scheduler, source, request, stop)
            elif file_format == "zarr":
                written = _on_disk(trained, source, request, mine, stop)
            else:
                written = _in_memory(trained, source, request, stop)
            if written is None:
                again = "; the same command goes on" if file_format == "zarr" else ""
                console.print(f"{name} was not finished{again}")
                raise typer.Exit(130)
            for written_path in written:
                console.print(f"wrote {written_path}")
            if not written:
                console.print(f"share {share} of {name} is done")


def _on_cluster(
    scheduler: str,
    source: "DenoisingInput",
    request: "DenoiseRequest",
    stop: Callable[[], bool],
) -> tuple[Path, ...] | None:
    """Let workers denoise an image; return the files, or None if stopped."""
    from napari_cosdd.prediction.cluster import denoising_on_cluster

    paths: tuple[Path, ...] | None = show_denoising(
        console, source.name, denoising_on_cluster(scheduler, source, request, stop)
    )
    return paths


def _on_disk(
    trained: "TrainedModel",
    source: "DenoisingInput",
    request: "DenoiseRequest",
    share: "Share | None",
    stop: Callable[[], bool],
) -> tuple[Path, ...] | None:
    """Denoise an image tile by tile; return the files, or None if stopped."""
    from napari_cosdd.prediction.on_disk import denoising_on_disk
    from napari_cosdd.prediction.shares import lock_of_share

    with lock_of_share(request, share) as (lock, left):
        if left:
            note(console, left)
        events = denoising_on_disk(
            trained, _opened(source), request, share=share, stop=stop
        )
        alive = _showing_life(lock, events)
        paths: tuple[Path, ...] | None = show_denoising(console, source.name, alive)
    return paths


def _showing_life(lock: "Lock", events: "Iterator[Event]") -> "Iterator[Event]":
    for event in events:
        lock.show_life()
        yield event


def _in_memory(
    trained: "TrainedModel",
    source: "DenoisingInput",
    request: "DenoiseRequest",
    stop: Callable[[], bool],
) -> tuple[Path, ...] | None:
    """Denoise an image and write it; return the files, or None if stopped."""
    from napari_cosdd import api
    from napari_cosdd.prediction.result_files import check_room, write_prediction

    image = _opened(source)
    check_room(request.paths, image)
    events = api.denoising(
        trained,
        image,
        request.config,
        dtype=request.dtype,
        fill=request.fill,
        region=request.region,
        stop=stop,
    )
    prediction = show_denoising(console, source.name, events)
    if prediction is None:
        return None
    write_prediction(request.paths, prediction, request.provenance)
    return tuple(request.paths.values())


def _opened(source: "DenoisingInput") -> "Image":
    """Open an image, and print warnings about its reading."""
    image = source.open()
    for doubt in image.doubts:
        note(console, doubt)
    return image
