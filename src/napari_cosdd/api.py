"""The Python interface: analyze, fit, denoise, check, load.

Images are numpy arrays, paths, or `Image`s. What the command line and the docks do
goes through here, too: `prepare_training` and `denoising` give them the events.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_cosdd.checks.check import ModelCheck
from napari_cosdd.checks.gather import gather
from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Denoised, Event, Finished
from napari_cosdd.exchange.export import export_bioimageio
from napari_cosdd.images.formats.any import find_images
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import (
    ImageLike,
    as_frames,
    as_images,
    distinct_names,
    one_image,
    stack_of,
)
from napari_cosdd.images.stack import Stack
from napari_cosdd.models.load import load
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport, report
from napari_cosdd.prediction.in_memory import Prediction, denoising, prediction_config
from napari_cosdd.prediction.lazy import denoise_lazily
from napari_cosdd.training.job import TrainingJob
from napari_cosdd.training.prepare import prepare_training
from napari_cosdd.training.recipe import Recipe, check_start, with_settings

#: Samples of the mean that a residual is taken from.
RESIDUAL_SAMPLES = 20


def analyze(
    image: ImageLike | Sequence[ImageLike],
    *,
    axes: str | None = None,
    region: tuple[slice, slice] | None = None,
    frames: bool = False,
    model: TrainedModel | Path | str | None = None,
    mask: bool = False,
) -> NoiseReport:
    """Measure how the noise of an image is correlated, and advise.

    Parameters
    ----------
    image : array, path or Image
        Any axes; planes of y and x are looked at. With `frames` also a folder or a
        sequence of single planes.
    axes : str, optional
        Letters of "STCZYX"; default: as the file says, or guessed from the shape.
    region : tuple of two slices (y, x), optional
        Where there is only noise; default: flat patches are found.
    frames : bool
        The images are repeats of a static scene: use their differences.
    model : TrainedModel or path, optional
        Use its residual: the image minus what it makes of it.
    mask : bool
        Fill pixels that are not finite.

    Returns
    -------
    NoiseReport

    Raises
    ------
    BadInputError
        If the image is too small, constant, or not finite where nothing fills it; if
        there are several where one is looked at.
    BadModelFileError
        If the model is for other images.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> analyze(rng.normal(size=(256, 256))).advice.axis
    'none'
    """
    opened = as_frames(as_images(image, axes)) if frames else one_image(image, axes)
    if frames and "Z" in opened.axes:
        raise BadInputError(
            f"axes {opened.axes}: planes at different depths are no repeats of a scene"
        )
    estimate = None
    if model is not None:
        made = denoise(opened, model, mask=mask, n_samples=RESIDUAL_SAMPLES)
        estimate = Stack(made.mean, opened.axes, 2)
    return report(
        stack_of(opened, 2, mask), region=region, frames=frames, estimate=estimate
    )


def fit(
    images: ImageLike | Sequence[ImageLike],
    *,
    axes: str | None = None,
    method: str = "cosdd",
    preset: str = "quick",
    ndim: int = 2,
    mask: bool = False,
    start: TrainedModel | Path | str | None = None,
    output: Path | str | None = None,
    on_event: Callable[[Event], object] | None = None,
    **settings: Any,
) -> TrainedModel:
    """Train a denoiser on noisy images alone.

    Parameters
    ----------
    images : array, path, Image, or a sequence of them
        One image is enough; a path may be a folder. Sizes may differ.
    axes : str, optional
        Letters of "STCZYX"; default: as the files say, or guessed.
    method, preset : str
        "cosdd" with "quick", "small" or "large"; "n2v" with "quick" or "point".
    ndim : {1, 2, 3}
        3 treats Z as space, 2 as separate planes.
    mask : bool
        Fill pixels that are not finite.
    start : TrainedModel or path, optional
        Begin with this model's weights and keep its networks; method and preset are
        then the model's, and settings of the method must be.
    output : path, optional
        Model file to write while training.
    on_event : callable, optional
        Called with each event; see `napari_cosdd.events`.
    **settings
        Any field of the method's or the training's config, such as
        ``noise_axis="x"``, ``time_limit=5`` (minutes) or ``max_steps=2000``.

    Returns
    -------
    TrainedModel

    Raises
    ------
    BadInputError
        If an image or a setting is not what is needed.
    TrainingDivergedError, PosteriorCollapseError, NotEnoughMemoryError
        If training fails for good.
    """
    recipe = with_settings(Recipe.preset(method, preset), settings)
    begun = load(start) if isinstance(start, (str, Path)) else start
    if begun is not None:
        check_start(begun, None, settings)
    job = prepare_training(
        as_images(images, axes), recipe, ndim=ndim, mask=mask, start=begun
    )
    for event in job.run(output=None if output is None else Path(output)):
        if on_event is not None:
            on_event(event)
        if isinstance(event, Finished):
            result: TrainedModel = event.result
            return result
    raise RuntimeError("training ended without a result")


def denoise(
    image: ImageLike,
    model: TrainedModel | Path | str,
    *,
    axes: str | None = None,
    mask: bool = False,
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
    mask : bool
        Fill pixels that are not finite.
    on_event : callable, optional
        Called with each event.
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
        If the image or a setting is not what is needed.
    """
    trained = model if isinstance(model, TrainedModel) else load(model)
    config = prediction_config(settings)
    opened = one_image(image, axes)
    for event in denoising(trained, opened, config, mask=mask):
        if on_event is not None:
            on_event(event)
        if isinstance(event, Denoised):
            result: Prediction = event.result
            return result
    raise RuntimeError("denoising ended without a result")


def check(
    image: ImageLike,
    model: TrainedModel | Path | str,
    *,
    axes: str | None = None,
    reference: ImageLike | None = None,
    mask: bool = False,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> ModelCheck:
    """Tell whether what a model makes of an image can be trusted.

    Parameters
    ----------
    image : array, path or Image
        Noisy; its busiest part is looked at.
    model : TrainedModel or path
        From `fit` or `load`.
    axes : str, optional
        Letters of "STCZYX".
    reference : array, path or Image, optional
        Clean image of the same scene, in the same grey levels.
    mask : bool
        Fill pixels that are not finite.
    device : str
        Where to compute.
    stop : callable
        Polled between the parts of the work.

    Returns
    -------
    ModelCheck
        With a verdict in words, and findings.

    Raises
    ------
    BadModelFileError, BadInputError
        If the model is for other images, or the image cannot be looked at.
    StoppedError
        Once `stop` says so.
    """
    trained = model if isinstance(model, TrainedModel) else load(model)
    truth = None if reference is None else one_image(reference, axes)
    opened = one_image(image, axes)
    return ModelCheck.of(
        gather(trained, opened, reference=truth, mask=mask, device=device, stop=stop)
    )


__all__ = [
    "Image",
    "ModelCheck",
    "NoiseReport",
    "Prediction",
    "Recipe",
    "TrainingJob",
    "analyze",
    "as_images",
    "check",
    "denoise",
    "denoise_lazily",
    "denoising",
    "distinct_names",
    "export_bioimageio",
    "find_images",
    "fit",
    "load",
    "one_image",
    "prediction_config",
    "prepare_training",
    "with_settings",
]
