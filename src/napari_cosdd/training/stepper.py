"""The optimizer step, and all state that it changes."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_cosdd.datasets.crops import Crops, Floats
from napari_cosdd.devices import free_memory, is_out_of_memory
from napari_cosdd.errors import NotEnoughMemoryError
from napari_cosdd.events import Warned
from napari_cosdd.methods.base import Trainable
from napari_cosdd.methods.values import Batch, Losses
from napari_cosdd.nets.blocks import channels_last, weights_channels_last
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.distributed import Processes
from napari_cosdd.training.optim import Anchor, AveragedWeights, GradientGuard
from napari_cosdd.training.schedule import Phase

_RANDOM_STATE = Lock()
#: Decay rates of Adam's moments. That of the second moment is below the usual 0.999,
#: for trainings of a few thousand steps.
BETAS = (0.9, 0.99)
#: Factor on the learning rate of the signal's networks once they are freed.
FREED_RATE = 3.0


@contextmanager
def own_random_state(seed: int) -> Iterator[None]:
    """Seed torch's global generator within a context, and restore it afterwards.

    A lock admits one thread at a time: concurrent trainings share this generator.
    """
    with _RANDOM_STATE, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class Update(NamedTuple):
    """The result of a step.

    Attributes
    ----------
    losses : dict
        Means over the batch, and the `gradient_norm`.
    stepped : bool
        False if the update was skipped: its gradient was not finite or exploded.
    """

    losses: dict[str, float]
    stepped: bool


class Stepper:
    """A method with its optimizer, averaged weights and source of randomness.

    Parameters
    ----------
    method : Trainable
        The method with its first weights.
    config : TrainingConfig
        Settings.
    device : torch.device
        Where to compute.
    seed : int
        Seed of the latent noise; each process draws different noise.
    fine_tuning : bool
        Whether the method has trained weights; those of the signal learn slowly.
    """

    def __init__(
        self,
        method: Trainable,
        config: TrainingConfig,
        device: torch.device,
        seed: int,
        *,
        fine_tuning: bool = False,
    ) -> None:
        method.to(device)
        weights_channels_last(method)
        method.use_checkpointing(config.checkpointing)
        self.method, self.config, self.device = method, config, device
        self.processes = Processes()
        self.processes.check_batch(config.batch_size)
        mine = config.batch_size // self.processes.size
        groups = method.parameter_groups()
        self.parameters = [p for p in method.parameters() if p.requires_grad]
        rank = self.processes.rank
        self.generator = torch.Generator(device).manual_seed(seed + rank)
        slow = config.fine_tuning_rate if fine_tuning else 1.0
        self.optimizer = torch.optim.Adam(
            [
                {"params": parameters, "share": share}
                for parameters, share in zip(groups, (slow, 1), strict=True)
                if parameters
            ],
            config.learning_rate,
            betas=BETAS,
            fused=device.type != "mps",
        )
        strength = config.anchor if fine_tuning else 0.0
        self.anchor = Anchor(groups.signal if strength else [], strength)
        self.average = AveragedWeights(self.parameters, config.averaging)
        self.guard = GradientGuard(config.gradient_limit)
        self.micro_batch = min(config.micro_batch or mine, mine)
        half = config.precision == "bfloat16"
        self.precision = torch.bfloat16 if half else torch.float32

    @classmethod
    def seeded(
        cls,
        build: Callable[[], Trainable],
        config: TrainingConfig,
        device: torch.device,
        seed: int,
        *,
        fine_tuning: bool = False,
    ) -> "Stepper":
        """Build the method with weights drawn from `seed`."""
        with own_random_state(seed):
            method = build()
        return cls(method, config, device, seed, fine_tuning=fine_tuning)

    def step(
        self, batch: Crops, progress: float, rate: float, phase: Phase
    ) -> Generator[Warned, None, Update]:
        """Take one step.

        Parameters
        ----------
        batch : Crops
            The batch of all processes.
        progress : float
            Share of the training done, for the method's warm-ups.
        rate : float
            Learning rate.
        phase : Phase
            Phase, such as "anchored": trained networks are held near their start.

        Yields
        ------
        Warned
            If memory ran out and the micro-batch was halved.

        Returns
        -------
        Update
        """
        for group in self.optimizer.param_groups:
            share = group["share"]
            share = min(1, FREED_RATE * share) if phase == "free" else share
            group["lr"] = rate * share
        losses = None
        while losses is None:
            try:
                losses = self.accumulate(self.processes.share_of(batch), progress)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                yield self._halve_micro_batch(error)
        self.processes.average_gradients(self.parameters)
        if phase == "anchored":
            self.anchor.pull()
        stepped, norm = self.guard.step(self.optimizer, self.parameters)
        if stepped:
            self.average.update()
        return Update(losses | {"gradient_norm": norm}, stepped)

    @torch.enable_grad()
    def accumulate(self, batch: Crops, progress: float) -> dict[str, float]:
        """Sum the gradients of the micro-batches; return the mean losses."""
        self.optimizer.zero_grad()
        totals: dict[str, float] = {}
        for start in range(0, len(batch), self.micro_batch):
            part = batch.take(slice(start, start + self.micro_batch))
            weight = len(part) / len(batch)
            with torch.autocast(
                self.device.type, self.precision, self.precision != torch.float32
            ):
                losses = self.method.losses(
                    self.batch_of(part), self.generator, progress
                )
            total = torch.stack(list(losses.objectives.values())).sum()
            (weight * total).backward()
            _add(totals, losses, weight)
        return totals

    @torch.no_grad()
    def evaluate(self, crops: Crops, seed: int) -> dict[str, float]:
        """Return the losses on crops; a seed gives the same latent noise each time."""
        generator = torch.Generator(self.device).manual_seed(seed)
        totals: dict[str, float] = {"loss": 0.0}
        weight = 1 / len(crops)
        for i in range(len(crops)):  # one by one: these crops are large
            one = self.batch_of(crops.take(slice(i, i + 1)))
            losses = self.method.losses(one, generator)
            _add(totals, losses, weight)
            totals["loss"] += weight * sum(map(float, losses.objectives.values()))
        return totals

    def batch_of(self, crops: Crops) -> Batch:
        """Return crops as tensors on the device."""
        target = None if crops.target is None else self.tensor(crops.target)
        weight = None if crops.weight is None else self.tensor(crops.weight)
        return Batch(self.tensor(crops.noisy), target, weight)

    def tensor(self, array: Floats) -> Tensor:
        """Return an array as a tensor on the device, in channels-last memory format."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return channels_last(tensor.to(self.device))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Context in which the method has the averaged weights."""
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    def _halve_micro_batch(self, error: Exception) -> Warned:
        if self.micro_batch == 1:
            raise NotEnoughMemoryError(
                "memory ran out with a single crop; use a smaller crop size or "
                f"preset ({error})"
            ) from error
        self.micro_batch = math.ceil(self.micro_batch / 2)
        self.optimizer.zero_grad()
        free_memory(self.device)
        return Warned(
            f"memory ran out: going on with {self.micro_batch} crops at a time, which "
            "gives the same result more slowly"
        )

    def state(self) -> dict[str, Any]:
        """Return a copy of all state that a step changes, on the CPU."""
        return {
            "weights": weights_of(self.method),
            "average": [a.detach().cpu().clone() for a in self.average.average],
            "n_updates": self.average.n_updates,
            "optimizer": _copied(self.optimizer.state_dict()),
            "generator": self.generator.get_state(),
            "micro_batch": self.micro_batch,
            "usual_norm": self.guard.usual,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self.method.load_state_dict(state["weights"])
        with torch.no_grad():
            torch._foreach_copy_(
                self.average.average, [a.to(self.device) for a in state["average"]]
            )
        self.average.n_updates = state["n_updates"]
        self.optimizer.load_state_dict(_copied(state["optimizer"]))
        if self.processes.size == 1:
            self.generator.set_state(state["generator"])
        self.micro_batch = min(state["micro_batch"], self.micro_batch)
        self.guard.usual = state["usual_norm"]


def weights_of(method: torch.nn.Module) -> dict[str, Tensor]:
    """Return a copy of the weights on the CPU."""
    return {k: v.detach().cpu().clone() for k, v in method.state_dict().items()}


def _add(totals: dict[str, float], losses: Losses, weight: float) -> None:
    """Add weighted losses to their totals."""
    for key, value in {**losses.objectives, **losses.metrics}.items():
        totals[key] = totals.get(key, 0.0) + weight * float(value.detach())


def _copied(state: Any) -> Any:
    """Copy an optimizer's state deeply, tensors to the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, dict):
        return {k: _copied(v) for k, v in state.items()}
    if isinstance(state, (list, tuple)):
        return [_copied(v) for v in state]
    return state
