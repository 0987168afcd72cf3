"""Mean and deviation of a stream of samples."""

import torch
from torch import Tensor


class RunningMoments:
    """Welford's running mean and variance, in float64 where the device has it."""

    def __init__(self) -> None:
        self.n = 0
        self._mean: Tensor | None = None
        self._m2: Tensor | None = None

    def add(self, samples: Tensor) -> None:
        """Take in `samples`, shape (n, *shape)."""
        values = samples.double() if samples.device.type != "mps" else samples.float()
        for value in values:
            self.n += 1
            if self._mean is None or self._m2 is None:
                self._mean, self._m2 = value.clone(), torch.zeros_like(value)
                continue
            delta = value - self._mean
            self._mean += delta / self.n
            self._m2 += delta * (value - self._mean)

    @property
    def mean(self) -> Tensor:
        """Mean of what was added."""
        assert self._mean is not None
        return self._mean

    @property
    def deviation(self) -> Tensor:
        """Standard deviation (n - 1); zero for a single sample."""
        assert self._m2 is not None
        return torch.sqrt(self._m2 / max(1, self.n - 1))
