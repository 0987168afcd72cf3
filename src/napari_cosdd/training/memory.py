"""How much memory a training will take, before it starts."""

from collections.abc import Sequence
from typing import Any

import torch

from napari_cosdd.methods.base import Method
from napari_cosdd.methods.values import Batch

#: Memory of the interpreter with torch and its allocators' reserves, bytes.
BASE = 400 << 20


def estimate_memory(method: Method[Any], crop: Sequence[int], micro_batch: int) -> int:
    """Return the bytes that training steps will take, including the program.

    One forward pass of a small crop is run. The sizes of the tensors that it keeps for
    the backward pass are summed and scaled to the real crop.
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
    activations = sum(n for where, n in kept.items() if where not in parameters)
    del losses
    ratio = float(micro_batch)
    for (c, _), s in zip(_sizes(method, crop), small, strict=True):
        ratio *= c / s
    weights = sum(p.numel() * 4 for p in method.parameters())
    # weights, gradients, two moments, average; two snapshots for roll-back and best
    return int(BASE + 1.3 * activations * ratio + 10 * weights)


def _sizes(method: Method[Any], crop: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(crop, method.tile_multiple(), strict=True))
