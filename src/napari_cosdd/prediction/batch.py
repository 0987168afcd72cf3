"""Several image files, each denoised into result files of its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_cosdd.events import Denoised, Event, Written
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import one_image
from napari_cosdd.images.selection import Channel, channel_of
from napari_cosdd.models.trained_model import TrainedModel
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
    overwrite: bool = False,
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
    overwrite : bool
        Whether existing files are accepted as paths.

    Raises
    ------
    BadInputError
        If the format is unknown, or a file exists and may not be overwritten.
    """
    outputs = outputs_of(model.method, config)
    made_by = made_with(model_name, model, config, model.filling(fill))
    made_by |= {"region": region} if region else {}
    return [
        DenoiseRequest(
            result_paths(folder, image.name, outputs, file_format, overwrite),
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
) -> Iterator[Event]:
    """Denoise an image in memory and write the results, as a stream of events.

    The last event is Written, with the files, unless the work was stopped.

    Raises
    ------
    BadInputError, BadModelFileError, NotEnoughMemoryError
        If the image cannot be denoised.
    SavingError
        If the results cannot be written, or have no room on the disk.
    """
    check_room(request.paths, image)
    for event in denoising(
        model,
        image,
        request.config,
        dtype=request.dtype,
        fill=request.fill,
        region=request.region,
        stop=stop,
    ):
        if not isinstance(event, Denoised):
            yield event
            continue
        write_prediction(request.paths, event.result, request.provenance)
        yield Written(tuple(request.paths.values()))
