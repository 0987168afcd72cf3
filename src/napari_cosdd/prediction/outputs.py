"""The images that a denoising makes, by name."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.images.axes import Region
from napari_cosdd.methods.base import Method
from napari_cosdd.models.compatibility import gives_samples
from napari_cosdd.settings.prediction import PredictionConfig

#: The MMSE estimate, and the posterior's standard deviation per pixel.
MEAN, DEVIATION = "mean", "deviation"


class Target(Protocol):
    """What a part is written to, region by region; a `Stack` is one."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its pixels."""

    def write(self, n: int, region: Region | None, values: NDArray[Any]) -> None:
        """Set image `n` in a spatial region to `values`, shape (c, *region)."""


#: Where parts are written, by name; parts that are not in it are not written.
Targets = Mapping[str, Target]


def sample_name(number: int) -> str:
    """Return the name of a kept sample, counted from 0: people count from 1."""
    return f"sample {number + 1}"


def part_names(method: Method, config: PredictionConfig) -> tuple[str, ...]:
    """Return what these settings make: mean, deviation, sample 1, sample 2."""
    if not gives_samples(method, config):
        return (MEAN,)
    deviation = (DEVIATION,) if config.n_samples > 1 else ()
    kept = min(config.n_kept, config.n_samples)
    return (MEAN, *deviation, *map(sample_name, range(kept)))
