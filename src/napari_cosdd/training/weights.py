"""Copies of weights and of an optimizer's state."""

from typing import Any

import torch
from torch import Tensor


def weights_of(method: torch.nn.Module) -> dict[str, Tensor]:
    """Return a copy of the weights on the CPU."""
    return {k: v.detach().cpu().clone() for k, v in method.state_dict().items()}


def copied(state: Any) -> Any:
    """Copy an optimizer's state deeply, tensors to the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, dict):
        return {k: copied(v) for k, v in state.items()}
    if isinstance(state, (list, tuple)):
        return [copied(v) for v in state]
    return state
