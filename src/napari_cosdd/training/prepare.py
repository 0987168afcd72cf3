"""From images and a recipe to a training: look, refuse, decide what is open."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.split import split
from napari_cosdd.datasets.survey import Survey, check_channels
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import SPATIAL
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods import get_method
from napari_cosdd.methods.base import Method
from napari_cosdd.models.compatibility import check_compatible
from napari_cosdd.models.shipped import pretrained
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport, report
from napari_cosdd.training.job import TrainingJob
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.run import RANDOM


def prepare_training(
    images: Sequence[Image],
    recipe: Recipe,
    *,
    ndim: int = 2,
    mask: bool = False,
    start: TrainedModel | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainingJob:
    """Check the images, decide what is open, split the data.

    Parameters
    ----------
    images : sequence of Image
        Noisy, of any sizes, with equal channels; may be larger than memory.
    recipe : Recipe
        Settings; what is left open is decided by the first image.
    ndim : {1, 2, 3}
        Spatial axes: lines, planes, or stacks with z.
    mask : bool
        Fill pixels that are not finite.
    start : TrainedModel, optional
        Go on from its weights: its method, its networks and its normalization are
        kept, the recipe gives the training.
    stop : callable
        Polled while the images are read.

    Raises
    ------
    BadInputError
        With what was expected and what came; nothing has been written.
    StoppedError
        If `stop` said so while the images were being read.
    """
    if start is not None:
        recipe, ndim = _continued(recipe, start), start.spec.ndim
    if ndim not in SPATIAL:
        raise BadInputError(f"{ndim} spatial axes: expected 1, 2 or 3")
    stacks = [stack_of(image, ndim, mask) for image in images]
    names = [image.name for image in images]
    check_channels(stacks, names)
    if start is not None:
        check_compatible(start, stacks[0])
    survey = Survey()
    normalization = Normalization.fit(survey.look(stacks, stop))
    recipe, noise = _resolved(images[0], recipe, ndim, mask)
    spec = start.spec if start else _spec(stacks[0], normalization)
    with torch.device("meta"):  # only its geometry is asked for
        method = get_method(recipe.method)(recipe.method_config, spec)
    weights, origin = _first_weights(method, recipe, start)
    if weights is not None:
        recipe = recipe.changed(recipe.method_config.adapting().model_dump())
    training = recipe.training.resolved(adapting=weights is not None)
    recipe = recipe.changed(training=training.model_dump())
    patches = _patches(stacks, spec, method, recipe)
    seen = noise or _noise_of(images[0], ndim, mask)
    known = {"start": origin, "noise": seen.summary if seen else None}
    trained_on = survey.summary(stacks, names).model_copy(update=known)
    warnings = tuple(_warnings(images, survey, noise))
    return TrainingJob(recipe, patches, warnings, noise, trained_on, weights, start)


def _warnings(
    images: Sequence[Image], survey: Survey, noise: NoiseReport | None
) -> Iterator[str]:
    """Say what the user should know before the training."""
    if saturated := survey.saturation():
        yield saturated
    yield from images[0].doubts
    yield from (image.note for image in images[1:] if image.note)
    if noise is not None and not noise.advice.fits:
        yield noise.advice.sentence


def _patches(
    stacks: Sequence[Stack], spec: DataSpec, method: Method, recipe: Recipe
) -> CropSampler:
    """Divide the images, across the noise's rows, into those to learn and to judge."""
    multiple, training = method.tile_multiple(), recipe.training
    crop = _crop_size(recipe, stacks, multiple)
    across = [a for a in range(spec.ndim) if a != method.noise_dim]
    axis = across[-1] if across else 0
    rng = np.random.default_rng(training.seed)
    parts = split(stacks, crop, multiple, axis, training.validation_share, rng)
    return CropSampler(stacks, spec, parts, crop, multiple, method.symmetries())


def _spec(stack: Stack, normalization: Normalization) -> DataSpec:
    return DataSpec(
        ndim=len(stack.size),
        n_channels=stack.n_channels,
        normalization=normalization,
        grey_step=1.0 if np.dtype(stack.data.dtype).kind in "ui" else 0.0,
    )


def _continued(recipe: Recipe, start: TrainedModel) -> Recipe:
    """Return the recipe for a model's networks."""
    settings = start.method.config.model_dump()
    return Recipe(method=start.name).changed(settings, recipe.training.model_dump())


def _first_weights(
    method: Method, recipe: Recipe, start: TrainedModel | None
) -> tuple[Mapping[str, Tensor] | None, str]:
    """Return the weights to start from, None for random ones, and their origin."""
    if start is not None:
        known = start.trained_on.names
        images = ", ".join(known[:3]) + (" …" if len(known) > 3 else "")
        origin = f"a model trained on {images or 'other images'}"
        return start.method.state_dict(), origin
    shipped = pretrained(recipe.method) if recipe.training.pretrained else None
    weights = method.weights_from(shipped.method) if shipped else None
    return weights, RANDOM if weights is None else "the pretrained network"


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
    noise = report(stack_of(image, 2, mask))
    advice = noise.advice
    field = advice.receptive_field
    if config.noise_axis not in ("auto", advice.axis):
        field = 40  # the papers' default, where the data say nothing
    resolved = config.resolved(advice.axis, field)
    return recipe.changed(resolved.model_dump()), noise


def _noise_of(image: Image, ndim: int, mask: bool) -> NoiseReport | None:
    """Look at the noise, to be remembered with the model; None if it hides."""
    if ndim == 1:
        return None
    try:
        return report(stack_of(image, 2, mask))
    except BadInputError:
        return None


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
