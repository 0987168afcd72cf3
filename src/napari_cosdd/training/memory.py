"""The memory of a training: how much it takes, and how to make it fit, beforehand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from napari_cosdd._formatting import memory
from napari_cosdd.datasets.crops import LARGER, LARGEST
from napari_cosdd.errors import NotEnoughMemoryError
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.values import Batch
from napari_cosdd.prediction.margin import WINDOW
from napari_cosdd.prediction.memory import PeakMemory

#: Memory of the interpreter with torch and its allocators' reserves, bytes.
BASE = 450 << 20
#: Largest share of the free memory that a training may be estimated to take.
SHARE = 0.85
#: What the backward pass takes beside the features that it was left, relative to them.
BACKWARD = 1.3
#: What convolutions take for themselves, by spatial axes: factors on the memory of
#: steps and of validation, as `python -m benchmarks speed --what memory` shows.
SCRATCH = {3: (1.3, 2.0)}
#: Smallest side of a crop that is proposed instead of one that does not fit, pixels.
SMALLEST = 32


@dataclass(frozen=True)
class Memory:
    """The memory of a training step, bytes.

    Attributes
    ----------
    fixed : int
        That of the program and of the weights, with their gradients, moments, average
        and snapshots.
    crop : int
        That of each crop that is computed at a time.
    validation : int
        That of the largest image computed without gradients: a validation crop, or
        the piece on which the margin of tiles is measured.
    """

    fixed: int
    crop: int
    validation: int = 0

    def of(self, micro_batch: int) -> int:
        """Return the bytes of a training with so many crops at a time."""
        return self.fixed + max(micro_batch * self.crop, self.validation)


@dataclass(frozen=True)
class MemoryPlan:
    """How a training fits into memory.

    Attributes
    ----------
    micro_batch : int
        Crops at a time.
    checkpointing : bool
        Whether features are computed again in the backward pass.
    memory : int
        Estimate, bytes.
    """

    micro_batch: int
    checkpointing: bool
    memory: int


def measure_memory(method: Method[Any], crop: Sequence[int]) -> Memory:
    """Measure the memory of a step on a small crop, and scale it.

    A forward pass is run, and the sizes of the tensors that it keeps for the backward
    pass are summed; another without gradients gives the peak of validation.

    Parameters
    ----------
    method : Method
        The method, with or without checkpointing.
    crop : sequence of int
        Pixels per spatial axis.
    """
    device = next(method.parameters()).device
    small = tuple(max(m, min(32, c // m * m)) for c, m in _sizes(method, crop))
    x = torch.zeros(1, method.spec.n_channels, *small, device=device)
    kept: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would form a cycle

    parameters = {p.untyped_storage().data_ptr() for p in method.parameters()}
    generator = torch.Generator(device).manual_seed(0)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
        target = None if method.needs.target == "none" else x
        losses = method.losses(Batch(x, target), generator)
    features = float(sum(n for at, n in kept.items() if at not in parameters))
    del losses
    for (c, _), s in zip(_sizes(method, crop), small, strict=True):
        features *= c / s
    with torch.no_grad(), PeakMemory() as peak:
        method.losses(Batch(x, target), generator)
    largest = validation_size(crop)
    validation = peak.most * math.prod(largest) / math.prod(small)
    weights = sum(p.numel() * 4 for p in method.parameters())
    # weights, gradients, two moments, average; two snapshots for roll-back and best
    in_steps, in_validation = SCRATCH.get(method.spec.ndim, (1.0, 1.0))
    return Memory(
        BASE + 10 * weights,
        int(in_steps * BACKWARD * features),
        int(in_validation * validation),
    )


def validation_size(crop: Sequence[int]) -> tuple[int, ...]:
    """Return the size of the largest image that a training computes at once, pixels."""
    wide = [max(WINDOW, s, min(LARGER * s, LARGEST)) for s in crop[-2:]]
    return (*crop[:-2], *wide)


def fit_to_memory(
    method: Method[Any],
    crop: Sequence[int],
    batch: int,
    free: int,
    *,
    micro_batch: int | None = None,
    checkpointing: bool = False,
) -> MemoryPlan:
    """Choose how many crops to compute at a time, so that memory suffices.

    The whole batch if it fits; else half of it, a quarter and so on; then the same with
    features computed again in the backward pass.

    Parameters
    ----------
    method : Method
        The method. If it fits, its checkpointing is left as given.
    crop : sequence of int
        Pixels per spatial axis.
    batch : int
        Crops of a step.
    free : int
        Free memory, bytes.
    micro_batch, checkpointing
        As set by the user, who is not overruled: a set micro-batch is kept.

    Raises
    ------
    NotEnoughMemoryError
        If a single crop does not fit; the message says what would.
    """
    room = SHARE * free
    sizes = _halves(batch) if micro_batch is None else [min(micro_batch, batch)]
    for saving in dict.fromkeys((checkpointing, True)):
        needed = _measured(method, crop, saving)
        for n in sizes:
            if needed.of(n) <= room:
                method.use_checkpointing(checkpointing)
                return MemoryPlan(n, saving, needed.of(n))
    if micro_batch is not None:  # the estimate may be wrong, and the user knows
        method.use_checkpointing(checkpointing)
        return MemoryPlan(sizes[0], checkpointing, needed.of(sizes[0]))
    raise NotEnoughMemoryError(_advice(method, crop, room, needed))


def _halves(batch: int) -> list[int]:
    """Return a batch, half of it, rounded up, and so on down to 1."""
    sizes = [batch]
    while sizes[-1] > 1:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def _measured(method: Method[Any], crop: Sequence[int], saving: bool) -> Memory:
    method.use_checkpointing(saving)
    return measure_memory(method, crop)


def _advice(
    method: Method[Any], crop: Sequence[int], room: float, needed: Memory
) -> str:
    """Say what a single crop needs, and the largest crop that would fit."""
    side, multiple = crop[-1], max(method.tile_multiple())
    share = max(0.0, room - needed.fixed) / needed.crop
    axes = min(2, len(crop))  # depth is kept
    smaller = int(side * share ** (1 / axes)) // multiple * multiple
    fits = smaller >= max(SMALLEST, multiple)
    remedy = f"a crop size of {smaller} fits" if fits else "use a smaller preset"
    return (
        f"a single crop of {side} pixels needs about {memory(needed.of(1))}, and "
        f"{memory(room)} are available: {remedy}"
    )


def _sizes(method: Method[Any], crop: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(crop, method.tile_multiple(), strict=True))
