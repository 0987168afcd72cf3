"""Several image files, each denoised into result files of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_cosdd.events import Denoised, Event, Warned, Written
from napari_cosdd.images.files import check_output, check_writable
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import one_image
from napari_cosdd.images.locks import lock_file, locked
from napari_cosdd.images.selection import Channel, channel_of
from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.earlier import Earlier, origin_of
from napari_cosdd.prediction.in_memory import denoising
from napari_cosdd.prediction.outputs import outputs_of
from napari_cosdd.prediction.request import DenoiseRequest
from napari_cosdd.prediction.result_files import (
    check_room,
    made_with,
    result_paths,
    write_prediction,
)
from napari_cosdd.settings.prediction import PredictionConfig


@dataclass(frozen=True)
class ImageFile:
    """An image that is opened when its turn comes, on this machine or another.

    Attributes
    ----------
    path : Path
        Its file; absolute if other machines open it.
    name : str
        Its name in the results.
    axes : str or None
        Its axes; None: as the file says.
    salvage : bool
        Read what is whole of a damaged file.
    channel : int, "each" or None
        The channel to denoise, from 0, or each by itself; None: all together.
    """

    path: Path
    name: str
    axes: str | None = None
    salvage: bool = False
    channel: Channel | None = None

    def open(self) -> Image:
        """Open the image."""
        image = one_image(self.path, self.axes, salvage=self.salvage)
        return replace(channel_of(image, self.channel), name=self.name)


def requests_for(
    images: Sequence[ImageFile],
    model: TrainedModel,
    model_name: str,
    folder: Path,
    config: PredictionConfig,
    *,
    file_format: str = "tif",
    dtype: str = "float32",
    fill: Fill | None = None,
    region: str | None = None,
) -> list[DenoiseRequest]:
    """Return the request for each image, with the paths of its results.

    Parameters
    ----------
    images : sequence of ImageFile
        With distinct names.
    model : TrainedModel
        Trained model.
    model_name : str
        Its name in the provenance of the results.
    folder : Path
        Folder for the results.
    config : PredictionConfig
        Settings.
    file_format : {"tif", "zarr", "npy"}
        Format of the results.
    dtype, fill, region
        As in `denoising`.

    Raises
    ------
    BadInputError
        If the format is unknown.
    """
    outputs = outputs_of(model.method, config)
    made_by = made_with(model_name, model, config, model.filling(fill))
    made_by |= {"region": region} if region else {}
    return [
        DenoiseRequest(
            result_paths(folder, image.name, outputs, file_format, overwrite=True),
            config,
            made_by,
            dtype,
            fill,
            region,
        )
        for image in images
    ]


def denoising_to_files(
    model: TrainedModel,
    image: Image,
    request: DenoiseRequest,
    stop: Callable[[], bool] = lambda: False,
    *,
    overwrite: bool = False,
) -> Iterator[Event]:
    """Denoise an image in memory and write the results, as a stream of events.

    The last event is Written, with the files, unless the work was stopped. Nothing is
    done where another process has done the same work since.

    Raises
    ------
    BadInputError, BadModelFileError, NotEnoughMemoryError
        If the image cannot be denoised, another process denoises to these files, or
        other files are there that may not be overwritten.
    SavingError
        If the results cannot be written, or have no room on the disk.
    """
    mean, written = request.paths[MEAN], Written(tuple(request.paths.values()))
    check_writable(*written.paths, lock_file(mean))
    with locked(mean) as (lock, note):
        if note:
            yield Warned(note)
        if not overwrite and was_done(lambda: image, request):
            yield written
            return
        check_room(request.paths, image)
        made_from = {**request.provenance, **origin_of(image, request)}
        for event in denoising(
            model,
            image,
            request.config,
            dtype=request.dtype,
            fill=request.fill,
            region=request.region,
            stop=stop,
        ):
            lock.show_life()
            if not isinstance(event, Denoised):
                yield event
                continue
            write_prediction(request.paths, event.result, made_from)
            yield written


def was_done(open_image: Callable[[], Image], request: DenoiseRequest) -> bool:
    """Whether all results of a request are there, from the same image.

    The image is opened only if there are files to compare it with.

    Raises
    ------
    BadInputError
        If there are files that are no such results, which must not be replaced.
    """
    earlier = Earlier.at(request)
    if not earlier.made:
        return False
    image = open_image()
    if earlier.is_complete(image):
        return True
    if not earlier.is_same(image):
        for path in earlier.made:
            check_output(path, overwrite=False)
    return False
