"""The optimizer step, and all state that it changes."""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from napari_cosdd.devices import is_out_of_memory, release_cache
from napari_cosdd.errors import NotEnoughMemoryError
from napari_cosdd.events import Warned
from napari_cosdd.methods.base import Trainable
from napari_cosdd.methods.values import Batch, Moment, Stage
from napari_cosdd.nets.blocks import weights_channels_last
from napari_cosdd.random_state import own_random_state
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.distributed import Processes
from napari_cosdd.training.gradients import accumulate
from napari_cosdd.training.optim import (
    Anchor,
    AveragedWeights,
    GradientGuard,
    adam,
    step_unless,
)
from napari_cosdd.training.recorded import RecordedSteps
from napari_cosdd.training.schedule import Phase
from napari_cosdd.training.under_way import StepsUnderWay
from napari_cosdd.training.weights import copied, weights_of

#: Factor on the learning rate of the signal's networks once they are freed.
FREED_RATE = 3.0


class Update(NamedTuple):
    """The result of the steps since the last look.

    Attributes
    ----------
    losses : dict
        Means over the batches, and the `gradient_norm`.
    skipped, skipped_in_row : int
        Number of updates that were skipped, since the last look and in a row: their
        gradient was not finite or exploded.
    rate : float
        Learning rate of the last step.
    """

    losses: dict[str, float]
    skipped: int
    skipped_in_row: int
    rate: float


class Stepper:
    """A method with its optimizer, averaged weights and source of randomness.

    On a GPU, a step is recorded as a CUDA graph and replayed, and its values stay there
    until `look` fetches them.

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
        slow = config.fine_tuning_rate if fine_tuning else 1.0
        self.optimizer = adam(groups, (slow, 1.0), config.learning_rate, device)
        strength = config.anchor if fine_tuning else 0.0
        self.anchor = Anchor(groups.signal if strength else [], strength)
        self.average = AveragedWeights(self.parameters, config.averaging)
        self.guard = GradientGuard(config.gradient_limit, device)
        self.micro_batch = min(config.micro_batch or mine, mine)
        half = config.precision == "bfloat16"
        self.precision = torch.bfloat16 if half else torch.float32
        generator = torch.Generator(device).manual_seed(seed + self.processes.rank)
        alone = self.processes.size == 1
        graphs = device.type == "cuda" and alone
        self.recorded = RecordedSteps(generator, enabled=graphs)
        self.under_way, self._rate = StepsUnderWay(device), 0.0

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

    @property
    def generator(self) -> torch.Generator:
        """The source of the latent noise."""
        return self.recorded.recorder.generator

    # Steps ----------------------------------------------------------------------

    def step(
        self, batch: Batch, moment: Moment, rate: float, phase: Phase
    ) -> Generator[Warned, None, None]:
        """Take one step; its losses are in the next `look`.

        Parameters
        ----------
        batch : Batch
            The batch of all processes, on the device.
        moment : Moment
            How far the training is, for the method's warm-ups.
        rate : float
            Learning rate.
        phase : Phase
            Phase, such as "anchored": trained networks are held near their start.

        Yields
        ------
        Warned
            If memory ran out and the micro-batch was halved.
        """
        freed = FREED_RATE if phase == "free" else 1.0
        shares = [group["share"] for group in self.optimizer.param_groups]
        rates = [rate * min(1.0, freed * share) for share in shares]
        stage, weight = self.method.stage(moment), self.average.next_weight()
        batch = self.processes.share_of(batch)
        while True:
            try:
                self._run(batch, stage, phase, rates, weight)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.recorded.forget():  # graphs of other stages hold memory
                    release_cache(self.device)
                else:
                    yield self._halve_micro_batch(error)
        self._rate = rate
        self.under_way.started()

    def _run(
        self,
        batch: Batch,
        stage: Stage,
        phase: Phase,
        rates: list[float],
        weight: float,
    ) -> None:
        """Update the weights; the average moves towards them by `weight`."""
        n = len(rates)

        def step(batch: Batch, numbers: Sequence[Any]) -> None:
            self._set_rates(numbers[:n])
            now = stage._replace(weights=tuple(numbers[n + 1 :]))
            self._update(batch, now, phase, numbers[n])

        kind = (stage.name, phase, self.micro_batch)
        self.recorded.take(kind, step, batch, [*rates, weight, *stage.weights])

    def _set_rates(self, rates: Sequence[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _update(
        self, batch: Batch, stage: Stage, phase: Phase, weight: float | Tensor
    ) -> None:
        """Compute gradients and update the weights, without waiting for a GPU."""
        losses = self.accumulate(batch, stage)
        self.processes.average_gradients(self.parameters, batch.counting)
        if phase == "anchored":
            self.anchor.pull()
        skip, norm = self.guard.check(self.parameters)
        step_unless(self.optimizer, skip)
        self.average.update(weight)
        self.under_way.add({**losses, "gradient_norm": norm})

    def accumulate(self, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Compute the gradients of a batch; return its mean losses."""
        self.optimizer.zero_grad()
        return accumulate(
            self.method,
            batch,
            self.generator,
            stage,
            micro_batch=self.micro_batch,
            precision=self.precision,
        )

    @property
    def look_is_due(self) -> bool:
        """Whether to look at the losses; with several processes, after each step."""
        return self.processes.size > 1 or self.under_way.look_is_due

    def look(self) -> Update | None:
        """Fetch the mean losses since the last look; None if no step was taken."""
        if not self.under_way.n:
            return None
        guard = self.guard
        losses, skipped = self.under_way.look(guard.skipped, guard.skipped_in_row)
        guard.skipped.zero_()
        return Update(losses, int(skipped[0]), int(skipped[1]), self._rate)

    def _halve_micro_batch(self, error: Exception) -> Warned:
        if self.micro_batch == 1:
            raise NotEnoughMemoryError(
                "memory ran out with a single crop; use a smaller crop size or "
                f"preset ({error})"
            ) from error
        self.micro_batch = math.ceil(self.micro_batch / 2)
        self.optimizer.zero_grad()
        release_cache(self.device)
        return Warned(
            f"memory ran out: going on with {self.micro_batch} crops at a time, which "
            "gives the same result more slowly"
        )

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Context in which the method has the averaged weights."""
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    # State ----------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return a copy of all state that a step changes, on the CPU."""
        return {
            "weights": weights_of(self.method),
            "average": [a.detach().cpu().clone() for a in self.average.average],
            "n_updates": self.average.n_updates,
            "optimizer": copied(self.optimizer.state_dict()),
            "generator": self.generator.get_state(),
            "micro_batch": self.micro_batch,
            "usual_norm": float(self.guard.usual),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state.

        Raises
        ------
        ValueError, RuntimeError, KeyError, TypeError
            If it is not the state of such a stepper.
        """
        self.recorded.forget()
        shapes = [a.shape for a in self.average.average]
        if [a.shape for a in state["average"]] != shapes:
            raise ValueError("the averaged weights are of other networks")
        self.method.load_state_dict(state["weights"])
        with torch.no_grad():
            torch._foreach_copy_(
                self.average.average, [a.to(self.device) for a in state["average"]]
            )
        self.average.n_updates = state["n_updates"]
        options = [dict(group) for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(copied(state["optimizer"]))
        for group, own in zip(self.optimizer.param_groups, options, strict=True):
            group |= {key: own[key] for key in ("lr", "fused", "capturable")}
        if self.processes.size == 1:
            self.generator.set_state(state["generator"])
        self.micro_batch = min(state["micro_batch"], self.micro_batch)
        self.guard.usual.fill_(state["usual_norm"])
        self.guard.skipped_in_row.zero_()
