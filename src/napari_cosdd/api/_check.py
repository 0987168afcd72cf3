"""Judge a model by its result on an image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosdd.api._former import filling, refuse_unknown
from napari_cosdd.checks.check import ModelCheck
from napari_cosdd.checks.gather import gather
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import ImageLike, one_image
from napari_cosdd.images.selection import Channel, channel_of
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

    opened = channel_of(one_image(image, axes), channel)
    truth = None if reference is None else one_image(reference, axes)
    evidence = gather(
        opened_model(model),
        opened,
        reference=None if truth is None else _fitting(truth, opened, channel),
        fill=fill,
        device=device,
        stop=stop,
    )
    return ModelCheck.of(evidence)


def _fitting(truth: Image, image: Image, channel: Channel | None) -> Image:
    """Return a reference with the axes of an image; one of one channel serves any."""
    at, wanted = truth.axes.find("C"), image.axes.find("C")
    if at >= 0 and truth.data.shape[at] > 1:
        return channel_of(truth, channel)
    same = truth.axes.replace("C", "") == image.axes.replace("C", "")
    if not same or (at >= 0) == (wanted >= 0):
        return truth
    pixels: Any = np.asarray(truth.data)
    pixels = np.expand_dims(pixels, wanted) if at < 0 else pixels.squeeze(at)
    return truth.with_data(pixels, truth.name, image.axes)
