"""Measurement of whether noise has a direction along its axis."""

import torch

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.methods.capabilities import DrawsNoise
from napari_cosdd.methods.values import Batch
from napari_cosdd.models.trained_model import TrainedModel

#: Tolerated rise of the negative ELBO of reversed images, nats per pixel. It is small
#: against the cost of the diagonal Gaussian posterior (docs/measurements.md).
TOLERANCE = 0.02


def measure_reversible(model: TrainedModel, crops: CropSampler) -> bool:
    """Whether reversing its axis keeps the distribution of the noise.

    A detector's memory has a direction: afterglow follows light. Stationary Gaussian
    noise, however, has the same distribution in both directions. The decoder has
    learned the noise forwards. If reversed noise differs, the negative ELBO of reversed
    validation crops is higher; noise is reversible if the rise is below TOLERANCE. The
    test is not valid after a training too short to learn the noise. (Ours; not in the
    papers.)

    Parameters
    ----------
    model : TrainedModel
        The model, on the CPU.
    crops : CropSampler
        Crops of its training.
    """
    growth = growth_if_reversed(model, crops)
    return growth is not None and growth < TOLERANCE


@torch.inference_mode()
def growth_if_reversed(model: TrainedModel, crops: CropSampler) -> float | None:
    """Return the rise of the negative ELBO of reversed crops, nats per pixel.

    None if the method has no model of the noise, or the noise has no axis: then all
    axes may be flipped anyway.
    """
    method, axis = model.method, model.method.noise_dim
    if axis is None or not isinstance(method, DrawsNoise):
        return None
    images = crops.validation(model.training.seed)
    weight = None if images.weight is None else torch.from_numpy(images.weight)
    every = Batch(torch.from_numpy(images.noisy), weight=weight)
    growths = []
    for seed in range(len(every.x)):
        one = every.part(slice(seed, seed + 1))
        forwards, backwards = (
            float(method.neg_elbo(batch, torch.Generator().manual_seed(seed)))
            for batch in (one, one.map(lambda values: values.flip(axis + 2)))
        )
        growths.append(backwards - forwards)
    return sum(growths) / len(growths)
