"""The trained networks that come with the package, for trainings to start from.

`python -m pretraining` trains them on phantoms with simulated noise.
"""

from functools import cache
from pathlib import Path

from napari_cosdd.devices import choose_device
from napari_cosdd.methods.registry import get_method
from napari_cosdd.models.trained_model import TrainedModel

FOLDER = Path(__file__).parents[1] / "weights"


@cache
def shipped_models(method: str) -> tuple[TrainedModel, ...]:
    """Return the shipped networks of a method, one for each size."""
    paths = sorted(FOLDER.glob(f"{method}-*.safetensors"))
    return tuple(TrainedModel.load(path) for path in paths)


def usual_preset(method: str) -> str:
    """Return the preset of a method that suits this machine.

    The first, or with a CUDA GPU the last that has a shipped network to start from.

    Raises
    ------
    BadInputError
        If there is no method of that name.
    """
    presets = list(get_method(method).presets)
    if choose_device("auto").type == "cuda":
        for preset in reversed(presets):
            if (FOLDER / f"{method}-{preset}.safetensors").exists():
                return preset
    return presets[0]
