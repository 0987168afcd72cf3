"""Steps that a GPU records once for each kind, and replays."""

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from napari_cosdd.cuda_graphs import GraphRecorder
from napari_cosdd.methods.values import Batch

#: A step from a batch and numbers such as learning rates, which are tensors on a GPU.
Step = Callable[[Batch, Sequence[float] | Sequence[Tensor]], None]


class RecordedSteps:
    """Takes steps, on a GPU from tensors whose place its graphs know.

    Parameters
    ----------
    generator : torch.Generator
        Source of randomness of all steps, on the device.
    enabled : bool
        Whether steps are recorded, on a GPU.
    """

    def __init__(self, generator: torch.Generator, *, enabled: bool) -> None:
        self.recorder = GraphRecorder(generator, enabled=enabled)
        self._inputs: dict[Hashable, tuple[Batch, Tensor]] = {}

    def take(
        self, kind: Hashable, step: Step, batch: Batch, numbers: Sequence[float]
    ) -> None:
        """Take a step; steps of one kind compute the same operations.

        Parameters
        ----------
        kind : hashable
            Names the operations, beside the shapes of the batch.
        step : callable
            Changes nothing but tensors, in place.
        batch : Batch
            Crops, on the device.
        numbers : sequence of float
            Values that change from step to step.
        """
        device = batch.x.device
        if device.type != "cuda":
            step(batch, numbers)
            return
        shapes = tuple(None if part is None else part.shape for part in batch)
        key, values = (kind, shapes), torch.tensor(numbers)
        if key not in self._inputs:
            self._inputs[key] = (batch.map(torch.clone), values.to(device))
        own_batch, own_values = self._inputs[key]
        own_batch.copy_(batch)
        own_values.copy_(values)
        self.recorder.run(key, lambda: step(own_batch, own_values.unbind()))

    def forget(self) -> bool:
        """Drop all graphs; return whether there were any."""
        had_graphs = self.recorder.n_graphs > 0
        self.recorder.forget()
        self._inputs.clear()
        return had_graphs
