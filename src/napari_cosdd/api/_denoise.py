"""Denoise an image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_cosdd.api._events import result_of, tell_doubts
from napari_cosdd.api._former import filling
from napari_cosdd.events import Event
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.inputs import ImageLike, one_image
from napari_cosdd.images.selection import Channel, Selected, channel_of
from napari_cosdd.models.load import opened_model
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.in_memory import Prediction, denoising
from napari_cosdd.settings.prediction import PredictionConfig


def denoise(
    image: ImageLike,
    model: TrainedModel | Path | str,
    *,
    axes: str | None = None,
    fill: Fill | None = None,
    region: Selected | None = None,
    channel: Channel | None = None,
    salvage: bool = False,
    on_event: Callable[[Event], object] | None = None,
    **settings: Any,
) -> Prediction:
    """Denoise an image with a trained model.

    Parameters
    ----------
    image : array, path or Image
        Same kind of image as the model was trained on; any size.
    model : TrainedModel or path
        From `fit` or `load`.
    axes : str, optional
        Letters of "STCZYX".
    fill : {"nothing", "missing", "outliers"}, optional
        Pixels to fill: those that are not finite, or outliers (hot and dead pixels,
        cosmic rays) as well. Default: nothing, or as in the model's training.
    region : rectangle, mask or file, optional
        The part to denoise, as in `fit`; elsewhere the image stays as it is.
    channel : int or "each", optional
        The channel to denoise, or each by itself, as in `fit`.
    salvage : bool
        Use what is whole of a file that is cut short, or of a set with missing files.
    on_event : callable, optional
        Called with each event. Default: warnings are issued as
        CosddWarning.
    **settings
        Any field of PredictionConfig, such as ``n_samples=100`` or ``n_kept=8``.

    Returns
    -------
    Prediction

    Raises
    ------
    BadModelFileError
        If the model is for other channels or dimensions.
    BadInputError
        If the image or a setting is invalid.
    """
    fill = filling(settings, fill)
    trained = opened_model(model)
    config = PredictionConfig.from_values(settings)
    opened = channel_of(one_image(image, axes, salvage=salvage), channel)
    tell_doubts([opened], image, on_event)
    events = denoising(trained, opened, config, fill=fill, region=region)
    result: Prediction = result_of(events, on_event)
    return result
