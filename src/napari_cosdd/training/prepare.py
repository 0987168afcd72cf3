"""Preparation of a training: validate images, decide open settings, split data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_cosdd.datasets.pairs import Pair, pairs_of
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.survey import Survey, check_channels
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import SPATIAL
from napari_cosdd.images.filling import Fill, too_many
from napari_cosdd.images.grids import split_grids
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.images.selection import Selected, part_of
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import NO_ASSETS, Assets, Needs
from napari_cosdd.models.compatibility import check_compatible
from napari_cosdd.models.shipped import shipped_models
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.noise_models.calibrate import outside_range
from napari_cosdd.prediction.analysis import noise_report
from napari_cosdd.training.cropping import cut_crops, smaller_crops
from napari_cosdd.training.job import TrainingJob
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.run import RANDOM


def prepare_run(
    images: Sequence[Image],
    recipe: Recipe[Any],
    *,
    targets: Sequence[Image] = (),
    validation: Sequence[Image] = (),
    validation_targets: Sequence[Image] = (),
    assets: Assets = NO_ASSETS,
    ndim: int = 2,
    fill: Fill = "nothing",
    region: Selected | None = None,
    init_model: TrainedModel | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainingJob:
    """Validate the images, decide open settings, and split the data.

    Parameters
    ----------
    images : sequence of Image
        Noisy, of any sizes, with equal channels; may be larger than memory.
    recipe : Recipe
        Settings; the noise of the first image decides open ones.
    targets : sequence of Image
        One for each image, if the method learns from pairs.
    validation, validation_targets : sequence of Image
        Images to validate on, as `images` and `targets`; if there are none, a part of
        `images` is held out.
    assets : Assets
        Noise model, if the method needs one.
    ndim : {1, 2, 3}
        Spatial axes: lines, planes, or stacks with z.
    fill : {"nothing", "missing", "outliers"}
        Pixels to fill: those that are not finite, or outliers as well. Filled pixels
        have no weight in training.
    region : rectangle, mask or file, optional
        The part of every image to learn from: slices of y and x, a mask (y, x), its
        file, or "y0:y1,x0:x1".
    init_model : TrainedModel, optional
        Start from its weights. Its method, networks, normalization and noise model
        are kept; only the training settings of the recipe apply.
    stop : callable
        Polled while the images are read; True stops the preparation.

    Raises
    ------
    BadInputError
        If an image or a setting is invalid; nothing has been written.
    StoppedError
        If `stop` returned True while the images were being read.
    """
    if init_model is not None:
        recipe, ndim = _continued(recipe, init_model), init_model.spec.ndim
        if assets.noise_model is not None:
            raise BadInputError(
                "the model to start from has its own noise model; give no other one"
            )
        assets = init_model.method.assets
    if ndim not in SPATIAL:
        raise BadInputError(f"{ndim} spatial axes: expected 1, 2 or 3")
    kind = get_method(recipe.method)
    check_assets(kind.title, kind.needs, assets)
    if region is not None:
        images = [part_of(image, region).image for image in images]
        targets = [part_of(target, region).image for target in targets]
    grid = recipe.training.grid if init_model is None else init_model.spec.grid or 1
    _check_others(images, validation)
    if grid > 1:
        images, targets, validation, validation_targets = (
            [split_grids(image, grid) for image in several]
            for several in (images, targets, validation, validation_targets)
        )
    wanted = kind.needs.target
    pairs = pairs_of(images, targets, wanted, ndim, fill)
    held_out = pairs_of(validation, validation_targets, wanted, ndim, fill)
    stacks = [pair.noisy for pair in pairs]
    every = [*pairs, *held_out]
    check_channels([pair.noisy for pair in every], [pair.name for pair in every])
    if init_model is not None:
        check_compatible(init_model, stacks[0])
    survey = Survey()
    normalization = Normalization.fit(survey.read(stacks, stop))
    _check_held_out(held_out, stop)
    scale = _scale_of_targets(pairs, stop)
    if init_model is not None:
        spec = init_model.spec
    else:
        clean = kind.needs.target == "clean"
        spec = _spec(pairs, normalization, scale if clean else None, grid)
    noise, settings = None, recipe.settings
    if settings.is_open:
        noise = _measured(images[0], ndim, fill)
    settings = settings.resolved(None if noise is None else noise.facts)
    with torch.device("meta"):  # only its geometry is needed
        method = kind(settings, spec, assets)
    weights, origin = _first_weights(method, recipe, init_model)
    if weights is not None:
        settings = settings.fine_tuning()
    training = recipe.training.resolved(fine_tuning=weights is not None)
    crops = cut_crops(pairs, spec, method, training, held_out)
    requested = training
    training = training.changed({"crop_size": crops.crop[-1]})
    recipe = Recipe(method=recipe.method, settings=settings, training=training)
    noise_report = noise or _noise_if_seen(images[0], ndim, fill)
    additions = {
        "start": origin,
        "noise": noise_report.summary if noise_report else None,
        "fill": fill,
    }
    names = [pair.name for pair in pairs]
    trained_on = survey.summary(stacks, names).model_copy(update=additions)
    levels = trained_on.levels_1_50_99
    warnings = [
        *filter(None, [smaller_crops(requested, crops)]),
        *_warnings(images, stacks, spec.grid, survey, noise, assets, levels),
    ]
    return TrainingJob(
        recipe, crops, tuple(warnings), noise, trained_on, assets, weights, init_model
    )


def _check_others(images: Sequence[Image], validation: Sequence[Image]) -> None:
    """Refuse images to validate on that are also trained on."""
    paths = {image.path for image in images if image.path is not None}
    for image in validation:
        if image.path in paths or any(image.data is other.data for other in images):
            raise BadInputError(
                f"{image.name} is also trained on: validate on other images, or let a "
                "part of the images be held out"
            )


def _check_held_out(pairs: Sequence[Pair], stop: Callable[[], bool]) -> None:
    """Read all pixels to validate on; refuse those that cannot be used."""
    if pairs:
        Normalization.fit(Survey().read([pair.noisy for pair in pairs], stop))
        _scale_of_targets(pairs, stop)


def check_assets(title: str, needs: Needs, assets: Assets) -> None:
    """Refuse a noise model that is missing, not used, or of another kind.

    Raises
    ------
    BadInputError
        If there is such a mismatch.
    """
    model = assets.noise_model
    if not needs.noise_models:
        if model is not None:
            raise BadInputError(f"{title} takes no noise model; leave it out")
        return
    kinds = " or ".join(sorted(needs.noise_models))
    if model is None and needs.learns_noise:
        return  # unless its settings say otherwise, which it then refuses itself
    if model is None:
        raise BadInputError(
            f"{title} needs a noise model ({kinds}): measure one with `napari-cosdd "
            "calibrate`, and give it with --noise-model (noise_model=)"
        )
    if model.kind not in needs.noise_models:
        raise BadInputError(f"{title} needs a noise model ({kinds}), got {model.kind}")


def _warnings(
    images: Sequence[Image],
    stacks: Sequence[Stack],
    grid: int | None,
    survey: Survey,
    noise: NoiseReport | None,
    assets: Assets,
    levels: tuple[float, float, float] | None,
) -> Iterator[str]:
    """Yield warnings for the user before the training."""
    if saturated := survey.saturation():
        yield saturated
    yield from filter(None, (survey.filled(), survey.outliers(), too_many(stacks)))
    yield from images[0].doubts
    yield from (image.note for image in images[1:] if image.note)
    if noise is not None and not noise.facts.is_clear:
        yield noise.facts.sentence
    if grid:
        yield (
            f"learned from grids of pixels {grid} px apart; the result is the mean of "
            "the grids"
        )
    model = assets.noise_model
    if model is not None and levels and (outside := outside_range(model, levels)):
        yield outside


def _scale_of_targets(
    pairs: Sequence[Pair], stop: Callable[[], bool]
) -> Normalization | None:
    """Return the scale of the targets, which are refused if they are not finite."""
    targets = [pair.target for pair in pairs if pair.target is not None]
    return Normalization.fit(Survey().read(targets, stop)) if targets else None


def _spec(
    pairs: Sequence[Pair],
    normalization: Normalization,
    results: Normalization | None,
    grid: int,
) -> DataSpec:
    """Describe the data; `results` is the scale of clean targets, if there are any."""
    stack = pairs[0].noisy
    return DataSpec(
        ndim=len(stack.size),
        n_channels=stack.n_channels,
        normalization=normalization,
        grey_step=1.0 if np.dtype(stack.data.dtype).kind in "ui" else 0.0,
        targets=results,
        grid=grid if grid > 1 else None,
    )


def _continued(recipe: Recipe[Any], model: TrainedModel) -> Recipe[Any]:
    """Return the recipe with method and settings of a model."""
    return Recipe(
        method=model.name, settings=model.method.config, training=recipe.training
    )


def _first_weights(
    method: Method[Any], recipe: Recipe[Any], init_model: TrainedModel | None
) -> tuple[Mapping[str, Tensor] | None, str]:
    """Return the first weights, None if random, and their origin in words."""
    if init_model is not None:
        known = init_model.trained_on.names
        images = ", ".join(known[:3]) + (" …" if len(known) > 3 else "")
        origin = f"a model trained on {images or 'other images'}"
        return init_model.method.state_dict(), origin
    if recipe.training.pretrained:
        for shipped in shipped_models(recipe.method):
            weights = method.weights_from(shipped.method)
            if weights is not None:
                return weights, "the pretrained network"
    return None, RANDOM


def _measured(image: Image, ndim: int, fill: Fill) -> NoiseReport:
    """Measure the noise of an image, to decide open settings."""
    if ndim == 1:
        raise BadInputError(
            "for one-dimensional data the noise axis (x or none) and the receptive "
            "field must be given"
        )
    return noise_report(stack_of(image, 2, fill))


def _noise_if_seen(image: Image, ndim: int, fill: Fill) -> NoiseReport | None:
    """Measure the noise, for the model file; None if it cannot be measured."""
    if ndim == 1:
        return None
    try:
        return noise_report(stack_of(image, 2, fill))
    except BadInputError:
        return None
