"""Models and assets, opened where a path is given."""

from pathlib import Path
from typing import overload

from napari_cosdd.methods.values import Assets
from napari_cosdd.models.load import load
from napari_cosdd.models.noise_model_file import load_noise_model
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_models.base import NoiseModel


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
