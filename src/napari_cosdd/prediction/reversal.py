"""Whether noise has a direction along its axis, measured on the trained network."""

import torch

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.methods.capabilities import DrawsNoise
from napari_cosdd.models.trained_model import TrainedModel

#: Nats per pixel by which reversed images may be less likely: little beside what the
#: posterior's being a diagonal Gaussian costs. Measured in docs/measurements.md.
TOLERANCE = 0.02


def measure_reversible(model: TrainedModel, crops: CropSampler) -> bool:
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
    crops : CropSampler
        Of its training.
    """
    grown = growth_if_reversed(model, crops)
    return grown is not None and grown < TOLERANCE


@torch.inference_mode()
def growth_if_reversed(model: TrainedModel, crops: CropSampler) -> float | None:
    """Return by how much the negative ELBO of validation crops grows, nats per pixel.

    None for methods without a model of the noise, and where the noise has no axis of
    its own: there all axes may be flipped anyway.
    """
    method, axis = model.method, model.method.noise_dim
    if axis is None or not isinstance(method, DrawsNoise):
        return None
    images = torch.from_numpy(crops.validation(model.training.seed).noisy)
    growths = []
    for seed, x in enumerate(images.split(1)):
        forwards, backwards = (
            float(method.neg_elbo(v, torch.Generator().manual_seed(seed)))
            for v in (x, x.flip(axis + 2))
        )
        growths.append(backwards - forwards)
    return sum(growths) / len(growths)
