"""Fitting the weights of one network into another of the same build."""

from collections.abc import Sequence

import torch
from torch import Tensor


def fitted(weights: Tensor, shape: Sequence[int], *, turned: bool) -> Tensor | None:
    """Return weights in the given shape, or None if they cannot take it.

    A kernel for planes becomes one for volumes that looks at its own plane only: the
    network then does to each plane what it did before.

    Parameters
    ----------
    weights : Tensor
        A kernel (out, in, y, x), or a vector, which stays as it is.
    shape : sequence of int
        (out, in, y, x) or (out, in, z, y, x), with z odd or 1.
    turned : bool
        Exchange y and x: the network then does to columns what it did to rows.
    """
    if weights.ndim == 4 and turned:
        weights = weights.transpose(2, 3)
    if weights.ndim == 4 and len(shape) == 5:
        deep = weights.new_zeros(*weights.shape[:2], shape[2], *weights.shape[2:])
        deep[:, :, shape[2] // 2] = weights
        weights = deep
    return weights.contiguous() if weights.shape == torch.Size(shape) else None


def with_rows(weights: Tensor, shape: Sequence[int]) -> Tensor:
    """Return weights for at least as many outputs; the further ones are zero."""
    missing = max(0, shape[0] - len(weights))
    return torch.cat([weights, weights.new_zeros(missing, *weights.shape[1:])])
