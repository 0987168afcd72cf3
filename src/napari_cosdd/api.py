"""The Python interface: analyze, fit, denoise, load.

Images are numpy arrays, paths, or `Image`s. What the command line and the docks do
goes through here, too: `prepare_training` and `denoising` give them the events.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_cosdd.axes import (
    FilledStack,
    Region,
    Stack,
    check_axes,
    guess_axes,
)
from napari_cosdd.data.inspect import (
    check_channels,
    check_finite,
    pixels,
    saturation,
    summary,
)
from napari_cosdd.data.io import Image, check_pixels, find_images, read_image
from napari_cosdd.data.patches import Patches, split
from napari_cosdd.devices import choose_device
from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Denoised, Event, Finished, Saved
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.inference.denoise import Outputs, check_fits
from napari_cosdd.inference.denoise import denoise as denoise_stack
from napari_cosdd.inference.margin import measure_margin
from napari_cosdd.methods import get_method
from napari_cosdd.methods.base import Method
from napari_cosdd.noise.report import NoiseReport, report
from napari_cosdd.normalization import Normalization
from napari_cosdd.recipe import Recipe
from napari_cosdd.spec import DataSpec
from napari_cosdd.training.checkpoint import TrainedModel
from napari_cosdd.training.trainer import train

ImageLike = ArrayLike | Path | str | Image
#: Kept samples beyond this many bytes go to a temporary file.
SAMPLES_LIMIT = 4 << 30


def load(path: Path | str) -> TrainedModel:
    """Read a model file.

    Raises
    ------
    BadModelFileError
        If it is damaged, foreign, or of a newer format.
    """
    return TrainedModel.load(path)


def analyze(
    image: ImageLike,
    *,
    axes: str | None = None,
    region: tuple[slice, slice] | None = None,
    frames: bool = False,
    mask: bool = False,
) -> NoiseReport:
    """Measure how the noise of an image is correlated, and advise.

    Parameters
    ----------
    image : array, path or Image
        Any axes; planes of y and x are looked at.
    axes : str, optional
        Letters of "STCZYX"; default: as the file says, or guessed from the shape.
    region : tuple of two slices (y, x), optional
        Where there is only noise; default: flat patches are found.
    frames : bool
        The images are repeats of a static scene: use their differences.
    mask : bool
        Fill pixels that are not finite.

    Returns
    -------
    NoiseReport

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> analyze(rng.normal(size=(256, 256))).advice.axis
    'none'
    """
    opened = as_images(image, axes)[0]
    return report(_stack(opened, 2, mask), region=region, frames=frames)


def fit(
    images: ImageLike | Sequence[ImageLike],
    *,
    axes: str | None = None,
    method: str = "cosdd",
    preset: str = "quick",
    ndim: int = 2,
    mask: bool = False,
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
    job = prepare_training(as_images(images, axes), recipe, ndim=ndim, mask=mask)
    for event in job.run(output=None if output is None else Path(output)):
        if on_event is not None:
            on_event(event)
        if isinstance(event, Finished):
            result: TrainedModel = event.result
            return result
    raise RuntimeError("training ended without a result")


def with_settings(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """Change settings of the method or the training by their names."""
    known = type(recipe.training).model_fields.keys()
    training = {k: v for k, v in settings.items() if k in known}
    method = {k: v for k, v in settings.items() if k not in known}
    return recipe.changed(method, training)


@dataclass(frozen=True)
class Prediction:
    """A denoised image.

    Attributes
    ----------
    source : Image
        What was denoised; results have its axes and pixel size.
    mean : ndarray, shape of the source
        Mean of the posterior samples (MMSE estimate), or the point estimate.
    deviation : ndarray or None
        Posterior standard deviation per pixel, grey levels.
    samples : ndarray, shape (n_kept, *shape of the source)
        Single posterior samples; empty if none were kept.
    """

    source: Image
    mean: NDArray[Any]
    deviation: NDArray[Any] | None
    samples: NDArray[Any]


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
        Any field of InferenceConfig, such as ``n_samples=100`` or ``n_kept=8``.

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
    config = inference_config(settings)
    opened = as_images(image, axes)[0]
    for event in denoising(trained, opened, config, mask=mask):
        if on_event is not None:
            on_event(event)
        if isinstance(event, Denoised):
            result: Prediction = event.result
            return result
    raise RuntimeError("denoising ended without a result")


def inference_config(settings: dict[str, Any]) -> InferenceConfig:
    """Check settings of the denoising."""
    try:
        return InferenceConfig.model_validate(settings)
    except ValueError as error:
        raise BadInputError(str(error)) from error


def denoising(
    model: TrainedModel,
    image: Image,
    config: InferenceConfig,
    *,
    dtype: str = "float32",
    mask: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Denoise as a stream of events; the last is Denoised, with a Prediction.

    Parameters
    ----------
    dtype : str
        Of mean and samples: "float32", or "same" for the source's. The deviation
        is always float32.
    """
    ndim = model.spec.ndim
    source = _stack(image, ndim, mask)
    check_fits(model, source, config)
    if not mask:
        check_finite([source])
    shape = image.data.shape
    kind = np.dtype(image.data.dtype) if dtype == "same" else np.dtype(dtype)
    generative = not config.direct and hasattr(model.method, "sample_posterior")
    mean = np.zeros(shape, kind)
    deviation = np.zeros(shape, np.float32) if generative else None
    n_kept = min(config.n_kept, config.n_samples) if generative else 0
    samples = _room((n_kept, *shape), kind)
    outputs = Outputs(
        Stack(mean, image.axes, ndim),
        None if deviation is None else Stack(deviation, image.axes, ndim),
        tuple(Stack(s, image.axes, ndim) for s in samples),
    )
    prediction = Prediction(image, mean, deviation, samples)
    for event in denoise_stack(model, source, outputs, config, stop=stop):
        yield Denoised(prediction) if isinstance(event, Denoised) else event


def _room(shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros, in a temporary file if they would not fit into memory."""
    if int(np.prod(shape)) * kind.itemsize <= SAMPLES_LIMIT:
        return np.zeros(shape, kind)
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        return np.memmap(file, kind, "w+", shape=shape)


@dataclass(frozen=True)
class TrainingJob:
    """A training whose input has been checked and whose open settings are decided.

    Attributes
    ----------
    recipe : Recipe
        Resolved: noise axis and receptive field are known.
    patches : Patches
        What it will learn from.
    warnings : tuple of str
        What the user should know before it starts.
    noise : NoiseReport or None
        What the noise axis was decided on.
    """

    recipe: Recipe
    patches: Patches
    warnings: tuple[str, ...]
    noise: NoiseReport | None
    trained_on: dict[str, Any]

    def build(self) -> Method:
        """Make the method with fresh random weights."""
        method: Method = get_method(self.recipe.method)(
            self.recipe.method_config, self.patches.spec
        )
        return method

    def run(
        self,
        *,
        output: Path | None = None,
        resume: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """Train; the last event is Finished, with the TrainedModel."""
        device = choose_device(self.recipe.training.device)
        events = train(
            self.recipe.method,
            self.build,
            self.patches,
            self.recipe.training,
            device,
            output=output,
            resume=resume,
            stop=stop,
            trained_on=self.trained_on,
        )
        for event in events:
            if isinstance(event, Finished):
                model = event.result
                margin = measure_margin(model, self.patches.stacks[0])
                model = replace(model, margin=margin)
                if output is not None:
                    model.save(output)
                    yield Saved(output, event.step)
                event = replace(event, result=model)
            elif isinstance(event, Saved):
                continue
            yield event


def prepare_training(
    images: Sequence[Image], recipe: Recipe, *, ndim: int = 2, mask: bool = False
) -> TrainingJob:
    """Check the images, decide what is open, split the data.

    Raises
    ------
    BadInputError
        With what was expected and what came; nothing has been written.
    """
    stacks = [_stack(image, ndim, mask) for image in images]
    names = [image.name for image in images]
    check_channels(stacks, names)
    if not mask:
        check_finite(stacks)
    normalization = Normalization.fit(pixels(stacks))
    warnings = [w for w in [saturation(stacks)] if w]
    warnings += [
        f"{image.name}: axes {image.axes} are a guess from the shape "
        f"{tuple(image.data.shape)}; give them if they are wrong"
        for image in images[:1]
        if image.axes_from == "guess"
    ]
    recipe, noise = _resolved(images[0], recipe, ndim, mask)
    if noise is not None and not noise.advice.fits:
        warnings.append(noise.advice.sentence)
    spec = DataSpec(
        ndim=ndim,
        n_channels=stacks[0].n_channels,
        normalization=normalization,
        grey_step=1.0 if np.dtype(images[0].data.dtype).kind in "ui" else 0.0,
    )
    with torch.device("meta"):  # only its geometry is asked for
        method = get_method(recipe.method)(recipe.method_config, spec)
    crop = _crop_size(recipe, stacks, method.tile_multiple())
    across = [a for a in range(ndim) if a != method.noise_axis]
    rng = np.random.default_rng(recipe.training.seed)
    parts = split(
        stacks,
        crop,
        method.tile_multiple(),
        across[-1] if across else 0,
        recipe.training.validation_share,
        rng,
    )
    patches = Patches(
        stacks, spec, parts, crop, method.tile_multiple(), method.symmetries()
    )
    trained_on = summary(stacks, names)
    return TrainingJob(recipe, patches, tuple(warnings), noise, trained_on)


def _resolved(
    image: Image, recipe: Recipe, ndim: int, mask: bool
) -> tuple[Recipe, NoiseReport | None]:
    """Fill in the noise axis and the receptive field from the data."""
    config = recipe.method_config
    if config.noise_axis != "auto" and (
        config.receptive_field is not None or config.noise_axis == "none"
    ):
        resolved = config.resolved(config.noise_axis, 0)
        return recipe.changed(resolved.model_dump()), None
    if ndim == 1:
        raise BadInputError(
            "for one-dimensional data the noise axis (x or none) and the receptive "
            "field must be given"
        )
    noise = report(_stack(image, 2, mask))
    advice = noise.advice
    field = advice.receptive_field
    if config.noise_axis not in ("auto", advice.axis):
        field = 40  # the papers' default, where the data say nothing
    resolved = config.resolved(advice.axis, field)
    return recipe.changed(resolved.model_dump()), noise


def _crop_size(
    recipe: Recipe, stacks: Sequence[Stack], multiple: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the training crop; z is as deep as the shallowest stack allows."""
    training = recipe.training
    size = [training.crop_size] * len(multiple)
    if len(size) == 3:
        size[0] = min(training.crop_depth, *(s.size[0] for s in stacks))
    for pixels_, step in zip(size, multiple, strict=True):
        if pixels_ % step:
            raise BadInputError(
                f"a crop size of {pixels_} is not a multiple of {step}, as this "
                f"network needs; use {max(step, pixels_ // step * step)}"
            )
    return tuple(size)


def as_images(
    images: ImageLike | Sequence[ImageLike], axes: str | None = None
) -> list[Image]:
    """Turn arrays, paths, folders and Images into Images.

    Raises
    ------
    BadInputError
        If there is nothing, or something is no grey-level image.
    """
    if isinstance(images, Image):
        return [images]
    if isinstance(images, (str, Path)):
        return [read_image(p, axes) for p in find_images(Path(images))]
    if isinstance(images, (list, tuple)) and images and not np.isscalar(images[0]):
        return [one for i in images for one in as_images(i, axes)]
    data: Any = images
    if not (hasattr(data, "shape") and hasattr(data, "dtype")):
        data = np.asarray(data)
    if data.ndim == 0 or 0 in data.shape:
        raise BadInputError(f"there is no image: shape {tuple(data.shape)}")
    letters = check_axes(axes, data.shape) if axes else guess_axes(data.shape)
    image = Image(data, letters, axes_from="user" if axes else "guess")
    check_pixels(image)
    return [image]


def _stack(image: Image, ndim: int, mask: bool) -> Stack:
    return (FilledStack if mask else Stack)(image.data, image.axes, ndim)


__all__ = [
    "Image",
    "NoiseReport",
    "Prediction",
    "Region",
    "analyze",
    "as_images",
    "denoise",
    "denoising",
    "fit",
    "load",
    "prepare_training",
]
