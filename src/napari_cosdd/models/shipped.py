"""The small networks that come with the package, for trainings to start from.

Made by `python -m pretraining` from phantoms and simulated noise.
"""

from functools import cache
from pathlib import Path

from napari_cosdd.models.trained_model import TrainedModel

FOLDER = Path(__file__).parents[1] / "weights"


@cache
def shipped_model(method: str) -> TrainedModel | None:
    """Return the network that comes with the package for a method, if one does."""
    path = FOLDER / f"{method}.safetensors"
    return TrainedModel.load(path) if path.exists() else None
