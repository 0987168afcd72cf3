"""The table of noise models."""

from importlib import import_module
from typing import TYPE_CHECKING

from napari_cosdd.errors import BadInputError

if TYPE_CHECKING:
    from napari_cosdd.noise_models.base import NoiseModel

#: Kind -> module and class. Strings avoid importing torch here.
NOISE_MODELS = {
    "histogram": "napari_cosdd.noise_models.histogram:HistogramNoise",
    "mixture": "napari_cosdd.noise_models.mixture:MixtureNoise",
    "poisson_gauss": "napari_cosdd.noise_models.poisson_gauss:PoissonGaussNoise",
    "autoregressive": "napari_cosdd.noise_models.autoregressive:AutoregressiveNoise",
}
#: Kinds of noise models in which pixels are independent, given the signal.
INDEPENDENT = frozenset(NOISE_MODELS) - {"autoregressive"}


def get_noise_model(kind: str) -> "type[NoiseModel]":
    """Return the class of a kind of noise model.

    Raises
    ------
    BadInputError
        If there is no such kind.
    """
    if kind not in NOISE_MODELS:
        raise BadInputError(
            f"there is no noise model {kind!r}; expected one of "
            f"{', '.join(NOISE_MODELS)}"
        )
    module, _, attribute = NOISE_MODELS[kind].partition(":")
    model_class: type[NoiseModel] = getattr(import_module(module), attribute)
    return model_class
