"""Predictions larger than memory: OME-Zarr images, filled tile by tile on disk.

One process, or several that share a disk, write their tiles into one folder
`NAME.partial`. A file marks each finished tile, so an interrupted run can go on. The
process that finds all tiles finished gives the images their final names.
"""

from collections.abc import Callable, Iterator

from napari_cosdd.errors import SavingError
from napari_cosdd.events import Event, TileDone, Warned, Written
from napari_cosdd.images.files import check_output
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.models.compatibility import (
    check_compatible,
    differences,
    refuse_grids,
)
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.denoiser import denoise
from napari_cosdd.prediction.request import DenoiseRequest, Share
from napari_cosdd.prediction.resumable import ResumableResult
from napari_cosdd.prediction.tiles import tiles_for
from napari_cosdd.remedies import Remedy


def written_before(
    model: TrainedModel, open_image: Callable[[], Image], request: DenoiseRequest
) -> bool:
    """Whether an earlier run of the same request completed the images.

    Parameters
    ----------
    model : TrainedModel
        Trained model.
    open_image : callable
        Opens the source; called only if there are result files to compare.
    request : DenoiseRequest
        Outputs and settings.

    Raises
    ------
    BadInputError
        If other files have the names of the results.
    """
    there = [path for path in request.paths.values() if path.exists()]
    if not there:
        return False
    partial = ResumableResult(request, model, open_image())
    if partial.was_published():
        return True
    if not partial.finished.exists():  # if it does, that run was cut off at its end
        check_output(there[0], overwrite=False)
    return False


def denoising_on_disk(
    model: TrainedModel,
    image: Image,
    request: DenoiseRequest,
    *,
    share: Share | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Denoise into OME-Zarr images on disk, as a stream of events.

    Memory is needed for one tile at a time. The last event is Written, with the images,
    or with none while tiles of other shares are unfinished.

    Parameters
    ----------
    model : TrainedModel
        Trained model.
    image : Image
        Noisy; may be larger than memory.
    request : DenoiseRequest
        Outputs with their paths, and settings.
    share : Share, optional
        Share of the tiles to denoise; default: all.
    stop : callable
        Polled between batches of samples; True ends without Written.

    Raises
    ------
    BadInputError
        If there is a partial result of other settings.
    SavingError
        If the disk is full or cannot be written to.
    """
    refuse_grids(model, f"images are denoised as a whole in memory: {Remedy.IN_MEMORY}")
    fill = model.filling(request.fill)
    source = stack_of(image, model.spec.ndim, fill)
    check_compatible(model, source, request.config)
    tiles = tiles_for(model, source, request.config)
    work = [(n, tile) for n in range(source.n_images) for tile in tiles]
    mine = [i for i in range(len(work)) if (share or Share()).holds(i)]
    if not mine:
        yield Written(())  # more shares than tiles
        return
    partial = ResumableResult(request, model, image)
    try:
        if partial.was_finishing():  # the end of an earlier run was cut off
            yield Written(partial.publish())
            return
        if share is not None and partial.was_published():
            yield Written(())  # the others were faster
            return
        differ = differences(model, image, filled=fill != "nothing")
        partial.open(tiles[0])
        yield from map(Warned, differ)
        todo = [i for i in mine if not partial.is_done(i)]
        already = len(work) - len(todo)
        if share is None and already:
            yield Warned(f"going on: {already} of {len(work)} tiles are done")
        done = 0
        for event in denoise(
            model,
            source,
            partial.targets(),
            request.config,
            work=[work[i] for i in todo],
            live=False,
            stop=stop,
        ):
            if isinstance(event, TileDone):
                partial.mark(todo[done])
                done += 1
            yield event
        if done == len(todo):
            yield Written(partial.finish() if partial.all_done(len(work)) else ())
    except SavingError:
        raise
    except OSError as error:
        raise SavingError(
            f"{partial.path} could not be written: {error}; finished tiles stay, and "
            "the same command goes on with them"
        ) from error
