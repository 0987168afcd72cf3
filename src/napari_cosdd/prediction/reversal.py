"""Whether noise has a direction along its axis, measured on the trained network."""

import torch
from torch import Tensor

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.methods.base import Batch
from napari_cosdd.models.trained_model import TrainedModel

#: Nats per pixel by which reversed images may be less likely: little beside what the
#: posterior's being a diagonal Gaussian costs. Measured in docs/measurements.md.
TOLERANCE = 0.02


def measure_reversible(model: TrainedModel, patches: CropSampler) -> bool:
    """Tell whether the law of the noise is the same backwards along its axis.

    A detector's memory has a direction: light is followed by its afterglow. Where it
    leaves a Gaussian noise it has none that could be told. The likelihood tells: the
    decoder has learned the noise forwards, and the negative ELBO of validation crops
    grows as they are reversed if that is another noise. It must not by TOLERANCE.
    After a training too short to learn the noise nothing can be told. (Ours; not in
    the papers.)

    Parameters
    ----------
    model : TrainedModel
        On the CPU.
    patches : CropSampler
        Of its training.
    """
    grown = growth_if_reversed(model, patches)
    return grown is not None and grown < TOLERANCE


@torch.inference_mode()
def growth_if_reversed(model: TrainedModel, patches: CropSampler) -> float | None:
    """Return by how much the negative ELBO of validation crops grows, nats per pixel.

    None for methods that have none, and where no axis is the noise's own: there all
    may be flipped anyway.
    """
    axis = model.method.noise_dim
    if axis is None:
        return None
    crops = torch.from_numpy(patches.validation(model.training.seed))
    growths = []
    for seed, x in enumerate(crops.split(1)):
        forwards, backwards = (_neg_elbo(model, v, seed) for v in (x, x.flip(axis + 2)))
        if forwards is None or backwards is None:
            return None
        growths.append(backwards - forwards)
    return sum(growths) / len(growths)


def _neg_elbo(model: TrainedModel, x: Tensor, seed: int) -> float | None:
    """Return the negative ELBO, nats per pixel, of methods that have one."""
    losses = model.method.losses(Batch(x), torch.Generator().manual_seed(seed))
    found = losses.objectives.get("neg_elbo")
    return None if found is None else float(found)
