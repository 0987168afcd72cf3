"""The small networks that come with the package, for trainings to start from.

`python -m pretraining` trains them on phantoms with simulated noise.
"""

from functools import cache
from pathlib import Path

from napari_cosdd.models.trained_model import TrainedModel

FOLDER = Path(__file__).parents[1] / "weights"


@cache
def shipped_model(method: str) -> TrainedModel | None:
    """Return the shipped network of a method; None if there is none."""
    path = FOLDER / f"{method}.safetensors"
    return TrainedModel.load(path) if path.exists() else None
