"""`napari-cosdd denoise`."""

from collections.abc import Callable, Iterator
from functools import partial
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
    from napari_cosdd.prediction.batch import ImageFile
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

    Images that cannot be denoised are named, and the others go on. With --format zarr
    images may be larger than memory, and what was interrupted goes on with the same
    command.
    """
    from napari_cosdd import api
    from napari_cosdd.cli._images import Failures, found
    from napari_cosdd.images.files import check_no_input, check_writable
    from napari_cosdd.images.selection import channel_from
    from napari_cosdd.prediction.batch import ImageFile, requests_for, was_done
    from napari_cosdd.prediction.on_disk import written_before
    from napari_cosdd.prediction.request import Share
    from napari_cosdd.prediction.result_files import left_over

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
    paths = found(images, recursive, salvage=salvage)
    names = api.distinct_names(paths)
    number = channel_from(channel)
    if isinstance(number, int):
        names = [f"{name}-c{number}" for name in names]
    # Absolute paths, since cluster workers may have other working directories.
    files = [
        ImageFile(path.absolute(), name, axes, salvage, number)
        for path, name in zip(paths, names, strict=True)
    ]
    requests = requests_for(
        files,
        trained,
        model.name,
        output.absolute(),
        api.PredictionConfig.from_values(settings),
        file_format=file_format,
        dtype=dtype,
        fill=fill,
        region=region,
    )
    for request in requests:
        check_no_input(request.paths.values(), [model, *paths])
        check_writable(*request.paths.values())
    before = partial(written_before, trained) if file_format == "zarr" else was_done
    both = [] if overwrite else zip(files, requests, strict=True)
    done = {file.name for file, request in both if before(file.open, request)}
    # Without a scheduler, none of the images can be denoised.
    failures = Failures(len(files) if scheduler is None else 1)
    with stoppable() as stop:
        for file, request in zip(files, requests, strict=True):
            if file.name in done:
                console.print(f"{file.name} was done before")
                continue
            if overwrite and (old := left_over(request.paths)):
                listed = ", ".join(one.name for one in old)
                note(console, f"left from an earlier run: {listed}")
            with failures.named(file.name):
                if scheduler is not None:
                    place = scheduler, model.absolute()
                    written = _on_cluster(*place, file, request, stop)
                elif file_format == "zarr":
                    written = _on_disk(trained, file, request, mine, stop)
                else:
                    written = _in_memory(trained, file, request, stop, overwrite)
                if written is None:
                    again = "" if file_format == "npy" else "; the same command goes on"
                    console.print(f"{file.name} was not finished{again}")
                    raise typer.Exit(130)
                for path in written:
                    console.print(f"wrote {path}")
                if not written:
                    console.print(f"share {share} of {file.name} is done")
    failures.check()


def _on_cluster(
    scheduler: str,
    model: Path,
    file: "ImageFile",
    request: "DenoiseRequest",
    stop: Callable[[], bool],
) -> tuple[Path, ...] | None:
    """Let workers denoise an image; return the files, or None if stopped."""
    from napari_cosdd.prediction.cluster import denoising_on_cluster

    events = denoising_on_cluster(scheduler, model, file, request, stop)
    paths: tuple[Path, ...] | None = show_denoising(console, file.name, events)
    return paths


def _on_disk(
    trained: "TrainedModel",
    file: "ImageFile",
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
        image = _opened(file)
        events = denoising_on_disk(trained, image, request, share=share, stop=stop)
        alive = _showing_life(lock, events)
        paths: tuple[Path, ...] | None = show_denoising(console, file.name, alive)
    return paths


def _showing_life(lock: "Lock", events: "Iterator[Event]") -> "Iterator[Event]":
    for event in events:
        lock.show_life()
        yield event


def _in_memory(
    trained: "TrainedModel",
    file: "ImageFile",
    request: "DenoiseRequest",
    stop: Callable[[], bool],
    overwrite: bool,
) -> tuple[Path, ...] | None:
    """Denoise an image and write it; return the files, or None if stopped."""
    from napari_cosdd.prediction.batch import denoising_to_files

    events = denoising_to_files(
        trained, _opened(file), request, stop, overwrite=overwrite
    )
    paths: tuple[Path, ...] | None = show_denoising(console, file.name, events)
    return paths


def _opened(file: "ImageFile") -> "Image":
    """Open an image, and print warnings about its reading."""
    image = file.open()
    for doubt in image.doubts:
        note(console, doubt)
    return image
