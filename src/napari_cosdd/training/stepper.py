"""The optimizer step, and all state that it changes."""

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from napari_cosdd.datasets.crops import Crops
from napari_cosdd.devices import free_memory, is_out_of_memory
from napari_cosdd.errors import NotEnoughMemoryError
from napari_cosdd.events import Warned
from napari_cosdd.methods.base import Trainable
from napari_cosdd.methods.values import Batch, Losses, Moment, Stage
from napari_cosdd.nets.blocks import weights_channels_last
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.batches import batch_of
from napari_cosdd.training.distributed import Processes
from napari_cosdd.training.optim import (
    Anchor,
    AveragedWeights,
    GradientGuard,
    step_unless,
)
from napari_cosdd.training.recorded import RecordedSteps
from napari_cosdd.training.schedule import Phase
from napari_cosdd.training.weights import copied, own_random_state, weights_of

#: Decay rates of Adam's moments. That of the second moment is below the usual 0.999,
#: for trainings of a few thousand steps.
BETAS = (0.9, 0.99)
#: Factor on the learning rate of the signal's networks once they are freed.
FREED_RATE = 3.0
#: Seconds between two looks at the losses on a GPU, which each wait for it; number of
#: steps that may be under way there.
LOOK_EVERY, UNDER_WAY = 0.1, 2


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
        on_gpu = device.type == "cuda"
        slow = config.fine_tuning_rate if fine_tuning else 1.0
        self.optimizer = torch.optim.Adam(
            [
                {"params": parameters, "share": share}
                for parameters, share in zip(groups, (slow, 1.0), strict=True)
                if parameters
            ],
            torch.tensor(config.learning_rate, device=device)
            if on_gpu
            else config.learning_rate,
            betas=BETAS,
            fused=device.type != "mps",
            capturable=on_gpu,
        )
        strength = config.anchor if fine_tuning else 0.0
        self.anchor = Anchor(groups.signal if strength else [], strength)
        self.average = AveragedWeights(self.parameters, config.averaging)
        self.guard = GradientGuard(config.gradient_limit, device)
        self.micro_batch = min(config.micro_batch or mine, mine)
        half = config.precision == "bfloat16"
        self.precision = torch.bfloat16 if half else torch.float32
        generator = torch.Generator(device).manual_seed(seed + self.processes.rank)
        alone = self.processes.size == 1
        self.recorded = RecordedSteps(generator, enabled=on_gpu and alone)
        self._names: list[str] = []
        self._sums = torch.zeros(0, device=device)
        self._pending, self._looked, self._rate = 0, -math.inf, 0.0
        self._under_way: deque[torch.cuda.Event] = deque()

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
                    free_memory(self.device)
                else:
                    yield self._halve_micro_batch(error)
        self._pending, self._rate = self._pending + 1, rate
        self._wait()

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
        totals = self.accumulate(batch, stage)
        self.processes.average_gradients(self.parameters)
        if phase == "anchored":
            self.anchor.pull()
        skip, norm = self.guard.check(self.parameters)
        step_unless(self.optimizer, skip)
        self.average.update(weight)
        totals["gradient_norm"] = norm
        if not self._names:
            self._names = list(totals)
            self._sums = torch.zeros(len(totals), device=self.device)
        self._sums += torch.stack([totals[name].float() for name in self._names])

    @torch.enable_grad()
    def accumulate(self, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Sum the gradients of the micro-batches; return the mean losses."""
        self.optimizer.zero_grad()
        totals: dict[str, Tensor] = {}
        n = len(batch.x)
        for start in range(0, n, self.micro_batch):
            part = batch.part(slice(start, start + self.micro_batch))
            weight = len(part.x) / n
            with torch.autocast(
                self.device.type, self.precision, self.precision != torch.float32
            ):
                losses = self.method.losses(part, self.generator, stage)
            (weight * _sum(losses)).backward()
            _add(totals, losses, weight)
        return totals

    @property
    def look_is_due(self) -> bool:
        """Whether to look at the losses: on a GPU only a few times a second."""
        if self.device.type == "cpu" or self.processes.size > 1:
            return True
        return time.monotonic() - self._looked > LOOK_EVERY

    def look(self) -> Update | None:
        """Fetch the mean losses since the last look; None if no step was taken."""
        if not self._pending:
            return None
        counts = torch.stack([self.guard.skipped, self.guard.skipped_in_row])
        values = torch.cat([self._sums / self._pending, counts]).tolist()
        self._sums.zero_()
        self.guard.skipped.zero_()
        self._pending, self._looked = 0, time.monotonic()
        losses = dict(zip(self._names, values, strict=False))
        return Update(losses, int(values[-2]), int(values[-1]), self._rate)

    def _wait(self) -> None:
        """Wait until a few steps at most are under way on a GPU."""
        if self.device.type != "cuda":
            return
        done = torch.cuda.Event()
        done.record()
        self._under_way.append(done)
        if len(self._under_way) > UNDER_WAY:
            self._under_way.popleft().synchronize()

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

    # Validation -----------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, crops: Crops, seed: int) -> dict[str, float]:
        """Return the losses on crops; a seed gives the same latent noise each time."""
        generator = torch.Generator(self.device).manual_seed(seed)
        totals: dict[str, Tensor] = {}
        weight = 1 / len(crops)
        for i in range(len(crops)):  # one by one: these crops are large
            one = batch_of(crops.take(slice(i, i + 1)), self.device)
            losses = self.method.losses(one, generator)
            _add(totals, losses, weight)
            _add(totals, Losses({"loss": _sum(losses)}, {}), weight)
        return {name: float(value) for name, value in totals.items()}

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


def _sum(losses: Losses) -> Tensor:
    """Return the sum of the objectives."""
    return torch.stack(list(losses.objectives.values())).sum()


def _add(totals: dict[str, Tensor], losses: Losses, weight: float) -> None:
    """Add weighted losses to their totals."""
    for key, value in {**losses.objectives, **losses.metrics}.items():
        part = weight * value.detach()
        totals[key] = totals[key] + part if key in totals else part
