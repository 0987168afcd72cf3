"""Measurement of the context that a tile needs, on the trained network."""

import numpy as np
import torch
from torch import Tensor

from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.capabilities import Predicts, SamplesSignal
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.latent_noise import PositionNoise
from napari_cosdd.prediction.tile_grid import pixels_lost

#: Largest change that is neglected, in units of the training data's deviation.
TOLERANCE = 0.01
#: Side of the piece that is measured, pixels.
WINDOW = 384


@torch.inference_mode()
def measure_margin(model: TrainedModel, source: Stack) -> tuple[int, ...]:
    """Return the context per axis beyond which other pixels hardly matter.

    The start of a piece of the image is replaced by other pixels. The change of one
    posterior sample (or of the estimate) is measured against the distance from them:
    the margin is the distance from which its root mean square stays below TOLERANCE.

    Parameters
    ----------
    model : TrainedModel
        The model, on the CPU.
    source : Stack
        Training data.

    Returns
    -------
    tuple of int
        Pixels per spatial axis, multiples of the network's stride.
    """
    method, ndim = model.method, model.spec.ndim
    multiple = method.tile_multiple()
    size = [
        min(s, 16 if ndim == 3 and axis == 0 else WINDOW) // m * m
        for axis, (s, m) in enumerate(zip(source.size, multiple, strict=True))
    ]
    region = tuple(slice(0, n) for n in size)
    pixels = model.spec.normalization.apply(source.read(0, region), ndim)
    x = torch.from_numpy(np.ascontiguousarray(pixels))[None]
    return tuple(_margin(model, x, axis, multiple[axis]) for axis in range(ndim))


def _margin(model: TrainedModel, x: Tensor, axis: int, multiple: int) -> int:
    length = x.shape[axis + 2]
    disturbed = max(multiple, length // 4 // multiple * multiple)
    if disturbed >= length:
        return model.method.tile_margin()[axis]
    other = x.clone()
    other.narrow(axis + 2, 0, disturbed).copy_(
        x.narrow(axis + 2, length - disturbed, disturbed).flip(axis + 2)
    )
    parts = zip(_outputs(model, x), _outputs(model, other), strict=True)
    changes = torch.cat([a - b for a, b in parts])
    change = changes.narrow(axis + 2, disturbed, length - disturbed)
    others = [a for a in range(change.ndim) if a != axis + 2]
    profile = change.square().mean(others).sqrt()
    reached = torch.nonzero(profile > TOLERANCE)
    margin = int(reached[-1]) + 1 if len(reached) else 0
    margin += pixels_lost(multiple)  # shifted views lose pixels on one side
    margin = max(multiple, -(-margin // multiple) * multiple)
    if margin >= length - disturbed:  # it may exceed the measured piece
        return max(margin, model.method.tile_margin()[axis])
    return margin


def _outputs(model: TrainedModel, x: Tensor) -> list[Tensor]:
    """Return a posterior sample of `x`, the outputs of one pass, or both."""
    method = model.method
    outputs: list[Tensor] = []
    if isinstance(method, Predicts) and method.outputs:
        outputs += method.predict(x).values()
    if isinstance(method, SamplesSignal):
        noise = PositionNoise([0], x.shape[2:], x.device)
        outputs.append(method.sample_posterior(method.encode(x), noise).signal)
    return outputs
