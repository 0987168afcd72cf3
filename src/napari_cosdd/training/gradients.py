"""Losses and gradients of batches that are computed in parts."""

import torch
from torch import Tensor

from napari_cosdd.datasets.crops import Crops
from napari_cosdd.methods.base import Trainable
from napari_cosdd.methods.values import Batch, Losses, Stage
from napari_cosdd.training.batches import batch_of


@torch.enable_grad()
def accumulate(
    method: Trainable,
    batch: Batch,
    generator: torch.Generator,
    stage: Stage,
    *,
    micro_batch: int,
    precision: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Add the gradients of the micro-batches; return the mean losses of the batch.

    Parameters
    ----------
    method : Trainable
        The method, on the device of the batch.
    batch : Batch
        Crops.
    generator : torch.Generator
        Source of the latent noise.
    stage : Stage
        Stage of the training.
    micro_batch : int
        Number of crops that are computed at a time.
    precision : torch.dtype
        Of the networks; half precision is cast automatically.
    """
    totals: dict[str, Tensor] = {}
    half = precision != torch.float32
    for start in range(0, len(batch.x), micro_batch):
        part = batch.part(slice(start, start + micro_batch))
        weight = part.counting / _at_least_one(batch.counting)
        with torch.autocast(part.x.device.type, precision, half):
            losses = method.losses(part, generator, stage)
        (weight * _objective(losses)).backward()
        _add(totals, losses, weight)
    return totals


@torch.no_grad()
def evaluate(
    method: Trainable, crops: Crops, device: torch.device, seed: int
) -> dict[str, float]:
    """Return the mean losses on crops; a seed gives the same latent noise each time."""
    generator = torch.Generator(device).manual_seed(seed)
    totals: dict[str, Tensor] = {}
    every = None if crops.weight is None else max(1.0, float(crops.weight.sum()))
    for i in range(len(crops)):  # one by one: these crops are large
        one = batch_of(crops.take(slice(i, i + 1)), device)
        weight = 1 / len(crops) if every is None else one.counting / every
        losses = method.losses(one, generator)
        _add(totals, losses, weight)
        _add(totals, Losses({"loss": _objective(losses)}, {}), weight)
    return {name: float(value) for name, value in totals.items()}


def _objective(losses: Losses) -> Tensor:
    """Return the sum of the objectives."""
    return torch.stack(list(losses.objectives.values())).sum()


def _at_least_one(count: Tensor | int) -> Tensor | int:
    return count.clamp(min=1) if isinstance(count, Tensor) else count


def _add(totals: dict[str, Tensor], losses: Losses, weight: Tensor | float) -> None:
    """Add weighted losses to their totals."""
    for key, value in {**losses.objectives, **losses.metrics}.items():
        part = weight * value.detach()
        totals[key] = totals[key] + part if key in totals else part
