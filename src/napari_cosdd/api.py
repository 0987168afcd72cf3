"""The Python interface: analyze, recommend, calibrate, fit, denoise, check, load.

Images are numpy arrays, paths, or `Image`s. The command line and the docks use this
interface, too: `prepare_run` and `denoising` give them streams of events.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from napari_cosdd._deprecation import renamed, take_former
from napari_cosdd.checks.check import ModelCheck
from napari_cosdd.checks.gather import gather
from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Denoised, Event, Finished
from napari_cosdd.exchange.export import export_bioimageio
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.formats.search import find_images
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import (
    ImageLike,
    as_frames,
    as_images,
    distinct_names,
    one_image,
    stack_of,
)
from napari_cosdd.images.selection import Channel, Selected, channel_of
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.advice import Recommendation
from napari_cosdd.methods.advice import recommend as recommend_for
from napari_cosdd.methods.registry import DEFAULT
from napari_cosdd.methods.values import Assets
from napari_cosdd.models.load import load
from napari_cosdd.models.noise_model_file import load_noise_model, save_noise_model
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.measure import Calibration, measure
from napari_cosdd.prediction.analysis import noise_report
from napari_cosdd.prediction.in_memory import Prediction, denoising
from napari_cosdd.prediction.lazy import denoise_lazily
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.training.job import TrainingJob
from napari_cosdd.training.prepare import prepare_run
from napari_cosdd.training.recipe import Recipe, check_init_model

#: Number of samples in the mean that a residual is computed with.
RESIDUAL_SAMPLES = 20
#: Present names of arguments, by their former names.
FILL = {"mask": "fill", "fill_missing": "fill"}
START = {"start": "init_model"}


def analyze(
    image: ImageLike | Sequence[ImageLike],
    *,
    axes: str | None = None,
    region: tuple[slice, slice] | None = None,
    frames: bool = False,
    model: TrainedModel | Path | str | None = None,
    fill: Fill | None = None,
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
    region : tuple of two slices (y, x), optional
        A region with noise alone; default: flat patches, found automatically.
    frames : bool
        The images are repeats of a static scene: use their differences.
    model : TrainedModel or path, optional
        Measure the residual: the image minus this model's estimate.
    fill : {"nothing", "missing", "outliers"}, optional
        Pixels to fill: those that are not finite, or outliers (hot and dead pixels,
        cosmic rays) as well. Default: nothing, or as in the model's training.
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
    fill = _filling(former, fill)
    _refuse_unknown("analyze", former)
    given = as_images(image, axes, salvage=salvage)
    opened = as_frames(given) if frames else one_image(given)
    if frames and "Z" in opened.axes:
        raise BadInputError(
            f"axes {opened.axes}: planes at different depths are no repeats of a scene"
        )
    estimate = None
    if model is not None:
        n = RESIDUAL_SAMPLES
        result = denoise(opened, model, fill=fill, n_samples=n)
        estimate = Stack(result.mean, opened.axes, 2)
    planes = stack_of(opened, 2, fill or "nothing")
    return noise_report(planes, region=region, frames=frames, estimate=estimate)


def recommend(found: NoiseReport) -> tuple[Recommendation, ...]:
    """Return all methods, rated by how well they suit the noise, the best first.

    Parameters
    ----------
    found : NoiseReport
        From `analyze`.
    """
    return recommend_for(found.facts)


def calibrate(
    images: ImageLike | Sequence[ImageLike],
    *,
    clean: ImageLike | None = None,
    model: TrainedModel | Path | str | None = None,
    kind: str = "mixture",
    axes: str | None = None,
    seed: int = 0,
    output: Path | str | None = None,
    repeats: bool = True,
) -> NoiseModel:
    """Measure a noise model p(x | s) of a camera.

    Parameters
    ----------
    images : array, path or Image, or a sequence of them
        Noisy. Without `clean`, repeats of a static scene, as a time series or single
        planes; their mean serves as the signal. For "poisson_gauss" a single plane
        suffices, of which the variance at levels of the signal is measured; for
        "autoregressive" a single dark or empty image, whose mean is the signal.
    clean : array, path or Image, optional
        Clean image of the same scene, in the same grey levels.
    model : TrainedModel or path, optional
        Takes the place of `clean`: the mean that it makes of the image is the signal
        (bootstrapping; Krull et al. 2020, section 3.5).
    kind : {"mixture", "histogram", "poisson_gauss", "autoregressive"}
        Kind of noise model.
    axes : str, optional
        Letters of "STCZYX".
    seed : int
        Source of randomness.
    output : path, optional
        Noise model file to write, ends in .safetensors.
    repeats : bool
        Whether the planes of a series show one static scene; False: each plane is
        measured alone, for "poisson_gauss" and "autoregressive".

    Returns
    -------
    NoiseModel

    Raises
    ------
    BadInputError
        If images do not fit each other, or there are too few.
    """
    return calibration(
        images,
        clean=clean,
        model=model,
        kind=kind,
        axes=axes,
        seed=seed,
        output=output,
        repeats=repeats,
    ).model


def calibration(
    images: ImageLike | Sequence[ImageLike],
    *,
    clean: ImageLike | None = None,
    model: TrainedModel | Path | str | None = None,
    kind: str = "mixture",
    axes: str | None = None,
    seed: int = 0,
    output: Path | str | None = None,
    repeats: bool = True,
) -> Calibration:
    """Measure a noise model, and return it with the variance that it should have.

    Parameters, errors: as of `calibrate`.
    """
    opened = as_images(images, axes)
    truth = None if clean is None else one_image(clean, axes)
    if model is not None:
        if truth is not None:
            raise BadInputError("give a clean image or a model, not both")
        noisy = one_image(opened)
        result = denoise(noisy, model, fill="missing")
        truth = replace(noisy, data=result.mean)
    found = measure(opened, truth, kind, seed, repeats=repeats)
    if output is not None:
        names = [image.name for image in opened][:100]
        save_noise_model(found.model, Path(output), {"images": names})
    return found


def fit(
    images: ImageLike | Sequence[ImageLike],
    *,
    targets: ImageLike | Sequence[ImageLike] | None = None,
    validation: ImageLike | Sequence[ImageLike] | None = None,
    validation_targets: ImageLike | Sequence[ImageLike] | None = None,
    axes: str | None = None,
    method: str = DEFAULT,
    preset: str | None = None,
    ndim: int = 2,
    fill: Fill | None = None,
    region: Selected | None = None,
    channel: Channel | None = None,
    noise_model: NoiseModel | Path | str | None = None,
    init_model: TrainedModel | Path | str | None = None,
    output: Path | str | None = None,
    on_event: Callable[[Event], object] | None = None,
    **settings: Any,
) -> TrainedModel:
    """Train a denoiser.

    Parameters
    ----------
    images : array, path, Image, or a sequence of them
        Noisy. One image is enough; a path may be a folder. Sizes may differ.
    targets : like `images`, optional
        One for each image, in the same order: clean images for "care", second noisy
        ones for "n2n".
    validation, validation_targets : like `images`, optional
        Images to validate on, and their targets. Default: a part of `images` is held
        out.
    axes : str, optional
        Letters of "STCZYX"; default: as the files say, or guessed.
    method, preset : str
        As `napari-cosdd train --help` lists them; by default, the preset suits the
        device.
    ndim : {1, 2, 3}
        3 treats Z as space, 2 as separate planes.
    fill : {"nothing", "missing", "outliers"}
        Pixels to fill: those that are not finite, or outliers as well; they do not
        count in the training.
    region : rectangle, mask or file, optional
        The part of every image to learn from: slices of y and x, a mask (y, x), its
        file, or "y0:y1,x0:x1".
    channel : int or "each", optional
        Use this channel alone, from 0; or each by itself, so that one model sees them
        one by one. Default: all together, from random weights.
    noise_model : NoiseModel or path, optional
        For methods that need one; from `calibrate`.
    init_model : TrainedModel or path, optional
        Start from this model's weights and keep its networks. Its method and settings
        then apply: `preset` is ignored, and method settings must equal the model's.
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
        If an image or a setting is invalid.
    TrainingDivergedError, PosteriorCollapseError, NotEnoughMemoryError
        If training fails after all attempts to recover.
    """
    former = take_former(settings, START)
    fill = _filling(settings, fill) or "nothing"
    init = opened_model(former.get("init_model", init_model))
    if init is not None:
        check_init_model(init, None, settings)
        method = init.name
    recipe = Recipe.preset(method, preset if init is None else "quick")

    def opened(given: ImageLike | Sequence[ImageLike] | None) -> list[Image]:
        several = [] if given is None else as_images(given, axes)
        return [channel_of(image, channel) for image in several]

    job = prepare_run(
        opened(images),
        recipe.with_values(settings),
        targets=opened(targets),
        validation=opened(validation),
        validation_targets=opened(validation_targets),
        assets=opened_assets(noise_model),
        ndim=ndim,
        fill=fill,
        region=region,
        init_model=init,
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
    fill: Fill | None = None,
    region: Selected | None = None,
    channel: Channel | None = None,
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
        If the image or a setting is invalid.
    """
    fill = _filling(settings, fill)
    trained = opened_model(model)
    config = PredictionConfig.from_values(settings)
    opened = channel_of(one_image(image, axes), channel)
    for event in denoising(trained, opened, config, fill=fill, region=region):
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
    fill: Fill | None = None,
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
    fill = _filling(former, fill)
    _refuse_unknown("check", former)
    truth = None if reference is None else one_image(reference, axes)
    evidence = gather(
        opened_model(model),
        one_image(image, axes),
        reference=truth,
        fill=fill,
        device=device,
        stop=stop,
    )
    return ModelCheck.of(evidence)


@overload
def opened_model(model: TrainedModel | Path | str) -> TrainedModel: ...
@overload
def opened_model(model: None) -> None: ...
@overload
def opened_model(model: TrainedModel | Path | str | None) -> TrainedModel | None: ...
def opened_model(model: TrainedModel | Path | str | None) -> TrainedModel | None:
    """Return a model, read from its file if it is a path."""
    return load(model) if isinstance(model, (str, Path)) else model


def opened_assets(noise_model: NoiseModel | Path | str | None) -> Assets:
    """Return the assets of a method, read from their files if they are paths."""
    if isinstance(noise_model, (str, Path)):
        noise_model = load_noise_model(noise_model)
    return Assets(noise_model)


def _filling(values: dict[str, Any], fill: Fill | None) -> Fill | None:
    """Return what to fill; of the former switch, True meant missing pixels."""
    former = take_former(values, FILL).get("fill")
    return fill if former is None else "missing" if former else "nothing"


def _refuse_unknown(function: str, values: dict[str, Any]) -> None:
    if values:
        names = ", ".join(values)
        raise TypeError(f"{function}() got unexpected arguments: {names}")


# Names of 0.1.0, which work for one release ------------------------------------------


def prepare_training(
    images: Sequence[Image], recipe: Recipe[Any], **former: Any
) -> TrainingJob:
    """Call `prepare_run`, the present name of this function."""
    renamed("prepare_training", "prepare_run")
    fill = _filling(former, former.pop("fill", None)) or "nothing"
    by_present_name = take_former(former, START)
    return prepare_run(images, recipe, fill=fill, **former, **by_present_name)


def with_settings(recipe: Recipe[Any], settings: dict[str, Any]) -> Recipe[Any]:
    """Call `Recipe.with_values`, the present name of this function."""
    renamed("with_settings", "Recipe.with_values")
    return recipe.with_values(settings)


def inference_config(settings: dict[str, Any]) -> PredictionConfig:
    """Call `PredictionConfig.from_values`, the present name of this function."""
    renamed("inference_config", "PredictionConfig.from_values")
    return PredictionConfig.from_values(settings)


__all__ = [
    "Assets",
    "Calibration",
    "Image",
    "ModelCheck",
    "NoiseModel",
    "NoiseReport",
    "Prediction",
    "PredictionConfig",
    "Recipe",
    "Recommendation",
    "TrainingJob",
    "analyze",
    "as_images",
    "calibrate",
    "calibration",
    "check",
    "check_init_model",
    "denoise",
    "denoise_lazily",
    "denoising",
    "distinct_names",
    "export_bioimageio",
    "find_images",
    "fit",
    "inference_config",
    "load",
    "load_noise_model",
    "one_image",
    "opened_assets",
    "prepare_run",
    "prepare_training",
    "recommend",
    "save_noise_model",
    "with_settings",
]
