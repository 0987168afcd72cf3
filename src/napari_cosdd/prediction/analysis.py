"""The analysis of the noise, with a second look by the shipped network."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.images.axes import Region
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.images.outliers import without_outliers
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.methods.registry import DEFAULT
from napari_cosdd.models.shipped import shipped_models
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.autocorrelation import (
    MAX_LAG,
    Autocorrelation,
    autocorrelation,
)
from napari_cosdd.noise_analysis.report import NoiseReport, report
from napari_cosdd.noise_analysis.second_look import (
    averaged,
    facts_of_second_look,
    wants_second_look,
)
from napari_cosdd.prediction.denoiser import denoise
from napari_cosdd.settings.prediction import PredictionConfig

#: Planes that a second look denoises, spread over the stack.
PLANES = 2
#: Side of their middle that is denoised, pixels.
SIDE = 256
#: Samples of the estimate, one for each view of a tile.
SAMPLES = 4


def noise_report(
    stack: Stack,
    *,
    region: Region | None = None,
    frames: bool = False,
    estimate: Stack | None = None,
) -> NoiseReport:
    """Measure the noise of a stack; where structure hides it, denoise and look again.

    The parameters and errors are those of `noise_analysis.report`. The second look
    denoises small parts with the shipped network, without any training; it takes about
    a second.
    """
    found = report(stack, region=region, frames=frames, estimate=estimate)
    first, correlation = found.facts, found.correlation
    if found.source != "flat patches" or not wants_second_look(first, correlation):
        return found
    try:
        residual = _residual(stack)
    except CosddError:  # too small, constant or partly selected: the first look counts
        return found
    facts = facts_of_second_look(first, correlation, residual)
    return replace(found, facts=facts, residual=residual)


def _residual(stack: Stack) -> Autocorrelation:
    """Return the autocorrelation of what the network removes, upright and turned."""
    if stack.selection is not None:
        raise BadInputError("a selection has holes, which a residual cannot have")
    planes = without_outliers(_middles(stack)).planes
    both = [
        [np.swapaxes(_removed(np.swapaxes(p, 1, 2)), 1, 2) if turned else _removed(p)]
        for turned in (False, True)
        for p in [planes.reshape(-1, *planes.shape[2:])]
    ]
    upright, turned = (_measured(np.concatenate(removed)) for removed in both)
    return averaged(upright, turned)


def _middles(stack: Stack) -> NDArray[Any]:
    """Return the middle of some planes of every channel, (c, n, y, x)."""
    starts = [max(0, (size - SIDE) // 2) for size in stack.size]
    ends = [a + min(n, SIDE) for a, n in zip(starts, stack.size, strict=True)]
    box = tuple(slice(a, b) for a, b in zip(starts, ends, strict=True))
    chosen = np.unique(np.linspace(0, stack.n_images - 1, PLANES + 2)[1:-1].astype(int))
    return np.stack([stack.read(int(n), box) for n in chosen], 1)


def _removed(planes: NDArray[Any]) -> NDArray[np.float64]:
    """Return planes (n, y, x) minus what the shipped network makes of them."""
    source = Stack(planes.astype(np.float32), "SYX", 2)
    made = np.zeros(planes.shape, np.float32)
    config = PredictionConfig(n_samples=SAMPLES, tile_size=SIDE)
    targets = {MEAN: Stack(made, "SYX", 2)}
    for _ in denoise(_scaled_to(planes), source, targets, config):
        pass
    return planes.astype(np.float64) - made


def _scaled_to(planes: NDArray[Any]) -> TrainedModel:
    """Return the shipped network with the normalization of these planes."""
    model = shipped_models(DEFAULT)[0]
    scale = Normalization.fit(plane[None] for plane in planes)
    spec = model.spec.model_copy(update={"normalization": scale, "grey_step": 0.0})
    method = type(model.method)(model.method.config, spec, model.method.assets)
    method.load_state_dict(model.method.state_dict())
    return replace(model, method=method.eval())


def _measured(removed: NDArray[np.float64]) -> Autocorrelation:
    lag = min(MAX_LAG, min(removed.shape[1:]) // 2 - 2)
    return autocorrelation([p / p.std() for p in removed], lag)
