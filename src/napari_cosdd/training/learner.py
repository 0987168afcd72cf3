"""One optimizer step, and everything that it changes."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_cosdd.devices import free_memory, is_out_of_memory
from napari_cosdd.errors import NotEnoughMemoryError
from napari_cosdd.events import Warned
from napari_cosdd.methods.base import Batch, GenerativeMethod, Method
from napari_cosdd.nets.blocks import channels_last, weights_channels_last
from napari_cosdd.nets.ladder_vae import fresh_noise
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.distributed import Team
from napari_cosdd.training.optim import Anchor, AveragedWeights, GradientGuard

_RANDOM_STATE = Lock()
Crops = NDArray[np.float32]
#: Samples of a preview, and its largest side in pixels.
PREVIEW_SAMPLES, SHOWN = 4, 128
#: Of Adam. The short memory of the second suits trainings of a few thousand steps.
BETAS = (0.9, 0.99)
#: Times as fast as before the networks of the signal learn once the anchor is let go.
FREED = 3.0


@contextmanager
def own_random_state(seed: int) -> Iterator[None]:
    """Let torch's generator, which belongs to the whole program, be ours for a moment.

    One thread at a time: two trainings would else draw from each other's.
    """
    with _RANDOM_STATE, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class Update(NamedTuple):
    """What a step was like.

    Attributes
    ----------
    losses : dict
        Means over the batch, and the `gradient_norm`.
    stepped : bool
        False where the update was left out: its gradients were not finite.
    """

    losses: dict[str, float]
    stepped: bool


class Learner:
    """A method with its optimizer, averaged weights and source of randomness.

    Parameters
    ----------
    method : Method
        With fresh weights.
    config : TrainingConfig
        Settings.
    device : torch.device
        Where to compute.
    seed : int
        Of the latent noise; other processes of a team draw other noise.
    adapting : bool
        The method starts with trained weights: those of the signal learn slowly.
    """

    def __init__(
        self,
        method: Method,
        config: TrainingConfig,
        device: torch.device,
        seed: int,
        *,
        adapting: bool = False,
    ) -> None:
        method.to(device)
        weights_channels_last(method)
        method.save_memory(config.checkpointing)
        self.method, self.config, self.device = method, config, device
        self.team = Team()
        self.team.check(config.batch_size)
        mine = config.batch_size // self.team.size
        self.parameters = list(method.parameters())
        self.generator = torch.Generator(device).manual_seed(seed + self.team.rank)
        slow = config.adapting_rate if adapting else 1.0
        self.optimizer = torch.optim.Adam(
            [
                {"params": part, "share": share}
                for part, share in zip(method.signal_and_rest(), (slow, 1), strict=True)
                if part
            ],
            config.learning_rate,
            betas=BETAS,
            fused=device.type != "mps",
        )
        strength = config.anchor if adapting else 0.0
        self.anchor = Anchor(method.signal_and_rest()[0] if strength else [], strength)
        self.average = AveragedWeights(self.parameters, config.averaging)
        self.guard = GradientGuard(config.gradient_limit)
        self.micro_batch = min(config.micro_batch or mine, mine)
        self.precision = _precision(config)

    @classmethod
    def seeded(
        cls,
        build: Callable[[], Method],
        config: TrainingConfig,
        device: torch.device,
        seed: int,
        *,
        adapting: bool = False,
    ) -> "Learner":
        """Build the method with weights drawn from `seed`."""
        with own_random_state(seed):
            method = build()
        return cls(method, config, device, seed, adapting=adapting)

    def update(
        self, batch: Crops, progress: float, rate: float, *, freed: bool = False
    ) -> Generator[Warned, None, Update]:
        """Take one step.

        Parameters
        ----------
        batch : ndarray, shape (n, c, *spatial)
            Normalized crops.
        progress : float
            Share of the training done, for the method's warm-ups.
        rate : float
            Learning rate.
        freed : bool
            Trained networks are no longer held to where they started.

        Yields
        ------
        Warned
            When memory ran out and the micro-batch was halved.

        Returns
        -------
        Update
        """
        for group in self.optimizer.param_groups:
            share = min(1, FREED * group["share"]) if freed else group["share"]
            group["lr"] = rate * share
        losses = None
        while losses is None:
            try:
                losses = self._accumulate(self.team.share(batch), progress)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                yield self._less_memory(error)
        self.team.average_gradients(self.parameters)
        if not freed:
            self.anchor.pull()
        stepped, norm = self.guard.step(self.optimizer, self.parameters)
        if stepped:
            self.average.update()
        return Update(losses | {"gradient_norm": norm}, stepped)

    @torch.enable_grad()
    def _accumulate(self, batch: Crops, progress: float) -> dict[str, float]:
        """Sum the gradients of the micro-batches; return the mean losses."""
        self.optimizer.zero_grad()
        totals: dict[str, float] = {}
        for start in range(0, len(batch), self.micro_batch):
            part = batch[start : start + self.micro_batch]
            weight = len(part) / len(batch)
            with torch.autocast(
                self.device.type, self.precision, self.precision != torch.float32
            ):
                losses = self.method.losses(
                    Batch(self.tensor(part)), self.generator, progress
                )
            total = torch.stack(list(losses.objectives.values())).sum()
            (weight * total).backward()
            for key, value in {**losses.objectives, **losses.metrics}.items():
                totals[key] = totals.get(key, 0.0) + weight * float(value.detach())
        return totals

    @torch.no_grad()
    def evaluate(self, crops: Crops, seed: int) -> dict[str, float]:
        """Return the losses on crops, always with the same latent noise."""
        generator = torch.Generator(self.device).manual_seed(seed)
        totals: dict[str, float] = {"loss": 0.0}
        for crop in crops:  # one by one: they are larger than those of a step
            losses = self.method.losses(Batch(self.tensor(crop[None])), generator)
            weight = 1 / len(crops)
            for key, value in {**losses.objectives, **losses.metrics}.items():
                totals[key] = totals.get(key, 0.0) + weight * float(value)
            totals["loss"] += weight * sum(map(float, losses.objectives.values()))
        return totals

    @torch.no_grad()
    def preview(self, crops: Crops) -> tuple[Crops, Crops, Crops | None]:
        """Return a crop, its estimate and a sample, grey levels, (c, *spatial)."""
        method = self.method
        cut = [slice(0, max(m, SHOWN // m * m)) for m in method.tile_multiple()]
        x = self.tensor(crops[(slice(None), slice(None), *cut)])
        noise = fresh_noise(torch.Generator(self.device).manual_seed(0))
        if not isinstance(method, GenerativeMethod):
            return self._grey(x), self._grey(method.estimate(x)), None
        features = method.encode(x)
        draws = [
            method.sample_posterior(features, noise) for _ in range(PREVIEW_SAMPLES)
        ]
        mean = torch.stack(draws).mean(0)
        return self._grey(x), self._grey(mean), self._grey(draws[0])

    def _grey(self, tensor: Tensor) -> Crops:
        spec = self.method.spec
        image = spec.normalization.invert(tensor[0].float().cpu().numpy(), spec.ndim)
        return image.astype(np.float32)

    def tensor(self, crops: Crops) -> Tensor:
        """Put crops where and how the networks want them."""
        tensor = torch.from_numpy(np.ascontiguousarray(crops))
        return channels_last(tensor.to(self.device))

    def _less_memory(self, error: Exception) -> Warned:
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
        """Return a copy of all that a step changes, on the CPU."""
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
        """Go back to a state."""
        self.method.load_state_dict(state["weights"])
        with torch.no_grad():
            torch._foreach_copy_(
                self.average.average, [a.to(self.device) for a in state["average"]]
            )
        self.average.n_updates = state["n_updates"]
        self.optimizer.load_state_dict(_copied(state["optimizer"]))
        if self.team.size == 1:
            self.generator.set_state(state["generator"])
        self.micro_batch = min(state["micro_batch"], self.micro_batch)
        self.guard.usual = state["usual_norm"]


def weights_of(method: Method) -> dict[str, Tensor]:
    """Return a copy of the weights on the CPU."""
    return {k: v.detach().cpu().clone() for k, v in method.state_dict().items()}


def _precision(config: TrainingConfig) -> torch.dtype:
    return torch.bfloat16 if config.precision == "bfloat16" else torch.float32


def _copied(state: Any) -> Any:
    """Copy an optimizer's state deeply, tensors to the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, dict):
        return {k: _copied(v) for k, v in state.items()}
    if isinstance(state, (list, tuple)):
        return [_copied(v) for v in state]
    return state
