"""The outputs of a prediction, and the targets that they are written to."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.images.axes import Region
from napari_cosdd.methods.capabilities import Predicts, SamplesSignal
from napari_cosdd.methods.outputs import DEVIATION, MEAN, Output, sample_output
from napari_cosdd.settings.prediction import PredictionConfig


class Target(Protocol):
    """Destination of an output, written region by region, such as a `Stack`."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its pixels."""

    def write(self, n: int, region: Region | None, values: NDArray[Any]) -> None:
        """Set image `n` in a spatial region to `values`, shape (c, *region)."""


#: Destination of each output; outputs without one are not written.
Targets = Mapping[Output, Target]


def draws_samples(method: object, config: PredictionConfig) -> bool:
    """Whether posterior samples are drawn, instead of predicting in one pass."""
    return isinstance(method, SamplesSignal) and not config.direct


def outputs_of(method: object, config: PredictionConfig) -> tuple[Output, ...]:
    """Return the outputs of a prediction with these settings, MEAN first."""
    if draws_samples(method, config):
        spread = (DEVIATION,) if config.n_samples > 1 else ()
        kept = range(min(config.n_kept, config.n_samples))
        return (MEAN, *spread, *map(sample_output, kept))
    return method.outputs if isinstance(method, Predicts) else ()
