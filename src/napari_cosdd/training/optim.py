"""Optimizer, schedule, averaged weights, and the guard against bad gradients."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

#: Decay rates of Adam's moments. That of the second moment is below the usual 0.999,
#: for trainings of a few thousand steps.
BETAS = (0.9, 0.99)


def adam(
    groups: Iterable[list[nn.Parameter]],
    shares: Iterable[float],
    rate: float,
    device: torch.device,
) -> torch.optim.Adam:
    """Return the optimizer, which a GPU can record.

    Parameters
    ----------
    groups : iterable of list of Parameter
        Groups of parameters; empty ones are left out.
    shares : iterable of float
        Factor of each group on the learning rate, kept as its option "share".
    rate : float
        Learning rate.
    device : torch.device
        Device of the parameters.
    """
    on_gpu = device.type == "cuda"
    return torch.optim.Adam(
        [
            {"params": parameters, "share": share}
            for parameters, share in zip(groups, shares, strict=True)
            if parameters
        ],
        torch.tensor(rate, device=device) if on_gpu else rate,
        betas=BETAS,
        fused=device.type != "mps",
        capturable=on_gpu,
    )


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
    """An exponential moving average of the parameters (EMA).

    Attributes
    ----------
    n_updates : int
        Number of weights given by `next_weight`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.decay = decay
        self.average = [p.detach().clone() for p in self.parameters]
        self.n_updates = 0

    def next_weight(self) -> float:
        """Return the weight of the parameters in the next update: larger at first."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        return 1 - decay

    @torch.no_grad()
    def update(self, weight: float | Tensor) -> None:
        """Move the average towards the parameters by a weight, 0 to 1."""
        change = torch._foreach_sub(self.parameters, self.average)
        torch._foreach_mul_(change, weight)
        torch._foreach_add_(self.average, change)

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
        every = zip(self.parameters, self.start, strict=True)
        learning = [(p, p.grad, start) for p, start in every if p.grad is not None]
        if not learning:
            return
        parameters, gradients, starts = zip(*learning, strict=True)
        distances = torch._foreach_sub(parameters, starts)
        torch._foreach_add_(gradients, distances, alpha=self.strength)


#: Factor on the longest allowed gradient, above which a step is skipped.
EXPLODED = 1e4


class GradientGuard:
    """Shortens long gradients, and finds exploding ones.

    The limit is relative to the usual norm in this training: the likelihood of weak
    noise is steep, so that gradients differ a thousandfold between images. All values
    stay on the device, so that nothing waits for them.

    Parameters
    ----------
    limit : float
        Gradients longer than `limit` times the usual norm are shortened to that length.
        Steps are to be skipped only if the gradient is not finite, or `EXPLODED` times
        longer than that: rare bright structures have the longest gradients until they
        are learned, and skipping more steps would prevent that.
    device : torch.device
        Device of the gradients.

    Attributes
    ----------
    usual : Tensor, scalar
        Usual norm; infinite before the first gradient.
    skipped, skipped_in_row : Tensor, scalar
        Number of exploding gradients, in all and since the last good one.
    """

    def __init__(self, limit: float, device: torch.device | str = "cpu") -> None:
        self.limit = limit
        self.usual = torch.tensor(math.inf, device=device)
        self.skipped = torch.zeros((), device=device)
        self.skipped_in_row = torch.zeros((), device=device)

    @torch.no_grad()
    def check(self, parameters: Iterable[nn.Parameter]) -> tuple[Tensor, Tensor]:
        """Shorten the gradients; return whether they explode, and their former norm."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm: Tensor = nn.utils.get_total_norm(gradients)
        longest = self.limit * self.usual
        explodes = ~norm.isfinite() | (norm > EXPLODED * longest)
        too_long = norm > longest
        factor = torch.where(too_long, longest / (norm + 1e-6), 1.0)
        torch._foreach_mul_(gradients, factor)
        kept = torch.minimum(norm, longest)
        first = torch.where(kept > 0, kept, math.inf)  # a norm of zero sets no scale
        usual = 0.98 * self.usual + 0.02 * kept
        usual = torch.where(self.usual.isinf(), first, usual)
        self.usual.copy_(torch.where(explodes, self.usual, usual))
        self.skipped += explodes
        self.skipped_in_row.copy_((self.skipped_in_row + 1) * explodes)
        return explodes, norm


def step_unless(optimizer: Any, skip: Tensor) -> None:
    """Step the optimizer unless `skip` is true.

    A fused optimizer reads that on the device, as it does for scaled gradients
    (torch.amp): nothing is fetched.

    Parameters
    ----------
    optimizer : torch.optim.Adam
        Fused or not.
    skip : Tensor, scalar, boolean
        Whether to leave the step out.
    """
    if optimizer.defaults["fused"]:
        optimizer.grad_scale, optimizer.found_inf = None, skip.float()
        optimizer.step()
    elif not skip:
        optimizer.step()
