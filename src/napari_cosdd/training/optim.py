"""Schedule, averaged weights, and the guard against bad gradients."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def cosine_rate(progress: float, step: int, warmup_steps: int) -> float:
    """Return the learning rate relative to its maximum.

    Parameters
    ----------
    progress : float
        Share of the training done, 0 to 1.
    step : int
        Steps done since the (re)start.
    warmup_steps : int
        Steps of the linear rise.
    """
    rise = min(1.0, (step + 1) / (warmup_steps + 1))
    return rise * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 1e-3)


class AveragedWeights:
    """An exponential moving average of the parameters (EMA)."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.decay = decay
        self.average = [p.detach().clone() for p in self.parameters]
        self.n_updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the parameters, with less decay at the start."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
        self.n_updates += 1

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange average and parameters; a second call restores both."""
        for parameter, average in zip(self.parameters, self.average, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)


class Anchor:
    """Pulls weights towards their start, in proportion to the distance (L2-SP).

    Li, Grandvalet & Davoine, "Explicit inductive bias for transfer learning with
    convolutional networks", ICML 2018, equation 2.

    Parameters
    ----------
    parameters : iterable of Parameter
        Parameters, whose present values are the start.
    strength : float
        Gradient for each unit of distance.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], strength: float) -> None:
        self.parameters, self.strength = list(parameters), strength
        self.start = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def pull(self) -> None:
        """Add the pull to the gradients; skip parameters without a gradient."""
        for parameter, start in zip(self.parameters, self.start, strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(parameter - start, alpha=self.strength)


#: Factor on the longest allowed gradient, above which a step is skipped.
EXPLODED = 1e4


class GradientGuard:
    """Shortens long gradients, and skips steps with exploding gradients.

    The limit is relative to the usual norm in this training: the likelihood of weak
    noise is steep, so that gradients differ a thousandfold between images.

    Parameters
    ----------
    limit : float
        Gradients longer than `limit` times the usual norm are shortened to that length.
        Steps are skipped only if the gradient is not finite, or `EXPLODED` times longer
        than that: rare bright structures have the longest gradients until they are
        learned, and skipping more steps would prevent that.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.usual = math.inf

    def step(
        self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]
    ) -> tuple[bool, float]:
        """Step unless the gradient explodes; return whether, and the unclipped norm."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm: Tensor = nn.utils.get_total_norm(gradients)
        value = float(norm)
        longest = self.limit * self.usual
        if not math.isfinite(value) or value > EXPLODED * longest:
            return False, value
        if value > longest:
            nn.utils.clip_grads_with_norm_(parameters, longest, norm)
        optimizer.step()
        kept = min(value, longest)
        if math.isinf(self.usual):  # a norm of zero sets no scale
            self.usual = kept or math.inf
        else:
            self.usual = 0.98 * self.usual + 0.02 * kept
        return True, value
