"""Judge a model by its result on an image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_cosdd.api._events import tell_doubts
from napari_cosdd.api._former import filling, refuse_unknown
from napari_cosdd.checks.check import ModelCheck
from napari_cosdd.checks.gather import gather
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.inputs import ImageLike, one_image
from napari_cosdd.images.selection import Channel, channel_of, fitting
from napari_cosdd.models.load import opened_model
from napari_cosdd.models.trained_model import TrainedModel


def check(
    image: ImageLike,
    model: TrainedModel | Path | str,
    *,
    axes: str | None = None,
    reference: ImageLike | None = None,
    fill: Fill | None = None,
    channel: Channel | None = None,
    salvage: bool = False,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
    **former: Any,
) -> ModelCheck:
    """Judge whether a model's result on an image can be trusted.

    Parameters
    ----------
    image : array, path or Image
        Noisy; the part with the most contrast is examined.
    model : TrainedModel or path
        From `fit` or `load`.
    axes : str, optional
        Letters of "STCZYX".
    reference : array, path or Image, optional
        Clean image of the same scene, in the same grey levels.
    fill : {"nothing", "missing", "outliers"}, optional
        Pixels to fill: those that are not finite, or outliers (hot and dead pixels,
        cosmic rays) as well. Default: nothing, or as in the model's training.
    channel : int or "each", optional
        The channel to examine, as in `fit`; of a reference with several, too. "each":
        some of them, as some time points are examined of a movie.
    salvage : bool
        Use what is whole of a file that is cut short, or of a set with missing files.
    device : str
        Where to compute.
    stop : callable
        Polled between the parts of the work; True stops it.

    Returns
    -------
    ModelCheck
        With a verdict in words, and findings.

    Raises
    ------
    BadModelFileError, BadInputError
        If the model is for other images, or the image cannot be examined.
    StoppedError
        Once `stop` returns True.
    """
    fill = filling(former, fill)
    refuse_unknown("check", former)

    opened = channel_of(one_image(image, axes, salvage=salvage), channel)
    tell_doubts([opened], image)
    truth = None if reference is None else one_image(reference, axes)
    evidence = gather(
        opened_model(model),
        opened,
        reference=None if truth is None else fitting(truth, opened, channel),
        fill=fill,
        device=device,
        stop=stop,
    )
    return ModelCheck.of(evidence)
