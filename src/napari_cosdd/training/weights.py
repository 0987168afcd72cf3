"""Random first weights, and copies of weights and of an optimizer's state."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Tensor

_RANDOM_STATE = Lock()


@contextmanager
def own_random_state(seed: int) -> Iterator[None]:
    """Seed torch's global generator within a context, and restore it afterwards.

    A lock admits one thread at a time: concurrent trainings share this generator.
    """
    with _RANDOM_STATE, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


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
