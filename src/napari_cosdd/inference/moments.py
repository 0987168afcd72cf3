"""Mean and deviation of a stream of samples."""

import torch
from torch import Tensor


class RunningMoments:
    """Welford's running mean and variance, in float64 where the device has it.

    Parameters
    ----------
    like : Tensor
        Of the shape and on the device of a sample.
    """

    def __init__(self, like: Tensor) -> None:
        self._type = torch.float32 if like.device.type == "mps" else torch.float64
        self.n = 0
        self.mean = torch.zeros_like(like, dtype=self._type)
        self._m2 = torch.zeros_like(self.mean)

    def add(self, samples: Tensor) -> None:
        """Take in `samples`, shape (n, *shape)."""
        for value in samples.to(self._type):
            self.n += 1
            delta = value - self.mean
            self.mean += delta / self.n
            self._m2 += delta * (value - self.mean)

    @property
    def deviation(self) -> Tensor:
        """Standard deviation (n - 1); zero for a single sample."""
        return torch.sqrt(self._m2 / max(1, self.n - 1))
