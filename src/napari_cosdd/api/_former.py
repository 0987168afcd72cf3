"""Names of 0.1.0, which work for one release."""

from collections.abc import Sequence
from typing import Any

from napari_cosdd._deprecation import renamed, take_former
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.image import Image
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.training.job import TrainingJob
from napari_cosdd.training.prepare import prepare_run
from napari_cosdd.training.recipe import Recipe

#: Present names of arguments, by their former names.
FILL = {"mask": "fill", "fill_missing": "fill"}
START = {"start": "init_model"}


def filling(values: dict[str, Any], fill: Fill | None) -> Fill | None:
    """Return what to fill; of the former switch, True meant missing pixels."""
    former = take_former(values, FILL).get("fill")
    return fill if former is None else "missing" if former else "nothing"


def refuse_unknown(function: str, values: dict[str, Any]) -> None:
    """Refuse what is left of the arguments once the former names are taken."""
    if values:
        names = ", ".join(values)
        raise TypeError(f"{function}() got unexpected arguments: {names}")


def prepare_training(
    images: Sequence[Image], recipe: Recipe[Any], **former: Any
) -> TrainingJob:
    """Call `prepare_run`, the present name of this function."""
    renamed("prepare_training", "prepare_run")
    fill = filling(former, former.pop("fill", None)) or "nothing"
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
