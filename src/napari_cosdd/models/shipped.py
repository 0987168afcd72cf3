"""The trained networks that come with the package, for trainings to start from.

`python -m pretraining` trains them on phantoms with simulated noise.
"""

from functools import cache
from pathlib import Path

from napari_cosdd.models.trained_model import TrainedModel

FOLDER = Path(__file__).parents[1] / "weights"


@cache
def shipped_models(method: str) -> tuple[TrainedModel, ...]:
    """Return the shipped networks of a method, one for each size."""
    paths = sorted(FOLDER.glob(f"{method}-*.safetensors"))
    return tuple(TrainedModel.load(path) for path in paths)
