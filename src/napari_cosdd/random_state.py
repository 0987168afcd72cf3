"""torch's global generator, borrowed to draw first weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

_LOCK = Lock()


@contextmanager
def own_random_state(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator within a context, and restore it afterwards.

    Layers draw their first weights from it. A lock admits one thread at a time, since
    concurrent trainings share it. Those of GPUs are left alone.
    """
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
