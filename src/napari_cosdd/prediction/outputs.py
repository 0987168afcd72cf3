"""Which images a prediction has, and what they are written to."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.images.axes import Region
from napari_cosdd.methods.capabilities import Predicts, SamplesSignal
from napari_cosdd.methods.outputs import DEVIATION, MEAN, Output, sample_output
from napari_cosdd.settings.prediction import PredictionConfig


class Target(Protocol):
    """What an output is written to, region by region; a `Stack` is one."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its pixels."""

    def write(self, n: int, region: Region | None, values: NDArray[Any]) -> None:
        """Set image `n` in a spatial region to `values`, shape (c, *region)."""


#: Where outputs are written; outputs that are not in it are not written.
Targets = Mapping[Output, Target]


def draws_samples(method: object, config: PredictionConfig) -> bool:
    """Whether posterior samples are drawn; else the method predicts in one pass."""
    return isinstance(method, SamplesSignal) and not config.direct


def outputs_of(method: object, config: PredictionConfig) -> tuple[Output, ...]:
    """Return the outputs of a prediction with these settings, MEAN first."""
    if draws_samples(method, config):
        spread = (DEVIATION,) if config.n_samples > 1 else ()
        kept = range(min(config.n_kept, config.n_samples))
        return (MEAN, *spread, *map(sample_output, kept))
    return method.outputs if isinstance(method, Predicts) else ()
