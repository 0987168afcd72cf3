"""Preparation of a training: validate images, decide open settings, split data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import SPATIAL
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.selection import Selected
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import NO_ASSETS, Assets, Needs
from napari_cosdd.models.shipped import shipped_models
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.noise_models.calibrate import outside_range
from napari_cosdd.prediction.analysis import noise_report
from napari_cosdd.remedies import Remedy
from napari_cosdd.training.cropping import cut_crops, smaller_crops
from napari_cosdd.training.data import Reading, Sources, TrainingData, read_data
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
    grid = recipe.training.grid if init_model is None else init_model.spec.grid or 1
    data = read_data(
        Sources(images, targets, validation, validation_targets),
        Reading(ndim, fill, region, grid),
        kind.needs,
        init_model,
        stop,
    )
    noise, settings = None, recipe.settings
    if settings.is_open:
        noise = _measured(data.images[0], ndim, fill)
    settings = settings.resolved(None if noise is None else noise.facts)
    with torch.device("meta"):  # only its geometry is needed
        method = kind(settings, data.spec, assets)
    weights, origin = _first_weights(method, recipe, init_model)
    if weights is not None:
        settings = settings.fine_tuning()
    training = recipe.training.resolved(fine_tuning=weights is not None)
    crops = cut_crops(data.pairs, data.spec, method, training, data.held_out)
    smaller = smaller_crops(training, crops)
    training = training.changed({"crop_size": crops.crop[-1]})
    recipe = Recipe(method=recipe.method, settings=settings, training=training)
    seen = noise or _noise_if_seen(data.images[0], ndim, fill)
    summary = data.survey.summary(data.stacks, [pair.name for pair in data.pairs])
    trained_on = summary.model_copy(
        update={
            "start": origin,
            "noise": seen.summary if seen else None,
            "fill": fill,
            "validated_on": data.validated_on,
            "targets_sha256": data.targets_sha256,
        }
    )
    warned = _warnings(data, noise, assets, summary, kind.needs)
    warnings = tuple(filter(None, (smaller, *warned)))
    return TrainingJob(
        recipe, crops, warnings, noise, trained_on, assets, weights, init_model
    )


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
            f"{title} needs a noise model ({kinds}); measure one ({Remedy.CALIBRATE})"
        )
    if model.kind not in needs.noise_models:
        raise BadInputError(f"{title} needs a noise model ({kinds}), got {model.kind}")


def _warnings(
    data: TrainingData,
    noise: NoiseReport | None,
    assets: Assets,
    summary: TrainedOn,
    needs: Needs,
) -> Iterator[str | None]:
    """Yield warnings for the user before the training."""
    yield from data.warnings()
    if noise is not None and not noise.facts.is_clear:
        yield noise.facts.sentence
    if grid := data.spec.grid:
        yield (
            f"learned from grids of pixels {grid} px apart; the result is the mean of "
            "the grids"
        )
    model, levels = assets.noise_model, summary.levels_1_50_99
    if model is not None and levels:
        yield outside_range(model, levels)
    if model is None and needs.learns_noise and (dark := data.survey.dark()):
        yield (
            f"{dark}. A noise model that is learned along describes that badly: "
            "measure one first, without repeats from the result of Noise2Void "
            f"({Remedy.BOOTSTRAP})"
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
