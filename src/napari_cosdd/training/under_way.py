"""Steps that are under way on a GPU, and their losses until they are fetched."""

import math
import time
from collections import deque

import torch
from torch import Tensor

#: Seconds between two looks at the losses on a GPU, which each wait for it.
LOOK_EVERY = 0.1
#: Number of steps that may be under way there.
UNDER_WAY = 2


class StepsUnderWay:
    """Sums the losses of steps on their device, and keeps few steps waiting there.

    Parameters
    ----------
    device : torch.device
        Where the steps are computed.

    Attributes
    ----------
    n : int
        Number of steps since the last look.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.n = 0
        self._names: list[str] = []
        self._sums = torch.zeros(0, device=device)
        self._looked = -math.inf
        self._waiting: deque[torch.cuda.Event] = deque()

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add the losses of a step, without waiting for it."""
        if not self._names:
            self._names = list(losses)
            self._sums = torch.zeros(len(losses), device=self.device)
        self._sums += torch.stack([losses[name].float() for name in self._names])

    def started(self) -> None:
        """Count a step, and wait until only a few are under way on a GPU."""
        self.n += 1
        if self.device.type != "cuda":
            return
        done = torch.cuda.Event()
        done.record()
        self._waiting.append(done)
        if len(self._waiting) > UNDER_WAY:
            self._waiting.popleft().synchronize()

    @property
    def look_is_due(self) -> bool:
        """Whether to look at the losses: on a GPU only a few times a second."""
        on_cpu = self.device.type == "cpu"
        return on_cpu or time.monotonic() - self._looked > LOOK_EVERY

    def look(self, *others: Tensor) -> tuple[dict[str, float], list[float]]:
        """Fetch the mean losses since the last look, and other scalars with them."""
        values = torch.cat([self._sums / self.n, torch.stack(others)]).tolist()
        self._sums.zero_()
        self.n, self._looked = 0, time.monotonic()
        n = len(self._names)
        return dict(zip(self._names, values[:n], strict=True)), values[n:]
