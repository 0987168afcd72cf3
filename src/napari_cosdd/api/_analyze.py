"""Analyze the noise of an image, and recommend methods."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_cosdd.api._denoise import denoise
from napari_cosdd.api._events import tell_doubts
from napari_cosdd.api._former import filling, refuse_unknown
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.inputs import (
    ImageLike,
    as_frames,
    as_images,
    one_image,
    stack_of,
)
from napari_cosdd.images.selection import EACH, Channel, channel_of, rectangle_of
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.advice import Recommendation
from napari_cosdd.methods.advice import recommend as recommend_for
from napari_cosdd.models.load import opened_model
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.prediction.analysis import noise_report

#: Number of samples in the mean that a residual is computed with.
RESIDUAL_SAMPLES = 20


def analyze(
    image: ImageLike | Sequence[ImageLike],
    *,
    axes: str | None = None,
    region: tuple[slice, slice] | str | None = None,
    frames: bool = False,
    model: TrainedModel | Path | str | None = None,
    fill: Fill | None = None,
    channel: Channel | None = None,
    salvage: bool = False,
    **former: Any,
) -> NoiseReport:
    """Measure how the noise of an image is correlated.

    Parameters
    ----------
    image : array, path or Image
        Any axes; planes of y and x are measured. With `frames` also a folder or a
        sequence of single planes.
    axes : str, optional
        Letters of "STCZYX"; default: as the file says, or guessed from the shape.
    region : two slices (y, x) or "y0:y1,x0:x1", optional
        A region with noise alone; default: flat patches, found automatically.
    frames : bool
        The images are repeats of a static scene: use their differences.
    model : TrainedModel or path, optional
        Measure the residual: the image minus this model's estimate.
    fill : {"nothing", "missing", "outliers"}, optional
        Pixels to fill: those that are not finite, or outliers (hot and dead pixels,
        cosmic rays) as well. Default: nothing, or as in the model's training.
    channel : int or "each", optional
        The channel to measure; otherwise all count equally.
    salvage : bool
        Read what is whole of files that are cut short.

    Returns
    -------
    NoiseReport
        `facts` says it in words; `recommend` says which method suits.

    Raises
    ------
    BadInputError
        If the image is too small or constant, has pixels that are not finite and
        not filled, or if there are several images without `frames`.
    BadModelFileError
        If the model is for other images.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> analyze(rng.normal(size=(256, 256))).facts.axis
    'none'
    """
    fill = filling(former, fill)
    refuse_unknown("analyze", former)
    trained = None if model is None else opened_model(model)
    if trained is not None:
        fill = trained.filling(fill)
    given = as_images(image, axes, salvage=salvage)
    if channel != EACH:
        given = [channel_of(one, channel) for one in given]
    tell_doubts(given, image)
    opened = as_frames(given) if frames else one_image(given)
    if frames and "Z" in opened.axes:
        raise BadInputError(
            f"axes {opened.axes}: planes at different depths are no repeats of a scene"
        )
    estimate = None
    if trained is not None:
        opened = channel_of(opened, EACH) if channel == EACH else opened
        n = RESIDUAL_SAMPLES
        result = denoise(opened, trained, fill=fill, n_samples=n)
        estimate = Stack(result.mean, opened.axes, 2)
    planes = stack_of(opened, 2, fill or "nothing")
    box = None if region is None else rectangle_of(region)
    return noise_report(planes, region=box, frames=frames, estimate=estimate)


def recommend(found: NoiseReport) -> tuple[Recommendation, ...]:
    """Return all methods, rated by how well they suit the noise, the best first.

    Parameters
    ----------
    found : NoiseReport
        From `analyze`.
    """
    return recommend_for(found.facts)
