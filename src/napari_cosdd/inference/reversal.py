"""Whether noise has a direction along its axis, measured on the trained network."""

from typing import Any

import numpy as np
import torch

from napari_cosdd.data.patches import Patches
from napari_cosdd.methods.base import Batch
from napari_cosdd.training.checkpoint import TrainedModel

#: Nats per pixel by which reversed images may be less likely: little beside what the
#: posterior's being a diagonal Gaussian costs. Measured in docs/measurements.md.
TOLERANCE = 0.02


@torch.inference_mode()
def measure_reversible(model: TrainedModel, patches: Patches) -> bool:
    """Tell whether the law of the noise is the same backwards along its axis.

    A detector's memory has a direction: light is followed by its afterglow. Where it
    leaves a Gaussian noise it has none that could be told. The likelihood tells: the
    decoder has learned the noise forwards, and the negative ELBO of validation crops
    grows as they are reversed if that is another noise. It must not by TOLERANCE,
    two standard errors included. (Ours; not in the papers.)

    Parameters
    ----------
    model : TrainedModel
        On the CPU.
    patches : Patches
        Of its training.
    """
    axis = model.method.noise_dim
    if axis is None:
        return False  # no axis is the noise's own: all may be flipped anyway
    crops = torch.from_numpy(patches.validation(model.training.seed))
    growths = []
    for i, x in enumerate(crops.split(1)):
        forwards, backwards = (_neg_elbo(model, v, i) for v in (x, x.flip(axis + 2)))
        if forwards is None or backwards is None:
            return False
        growths.append(backwards - forwards)
    error = np.std(growths, ddof=1) / np.sqrt(len(growths))
    return bool(np.mean(growths) + 2 * error < TOLERANCE)


def _neg_elbo(model: TrainedModel, x: Any, seed: int) -> float | None:
    """Return the negative ELBO, nats per pixel, of methods that have one."""
    losses = model.method.losses(Batch(x), torch.Generator().manual_seed(seed))
    found = losses.objectives.get("neg_elbo")
    return None if found is None else float(found)
