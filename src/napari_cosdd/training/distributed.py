"""Several processes that train one model together, as `torchrun` starts them.

Each process takes its share of every batch. Gradients are averaged, so that all take
the step that one process would take with the whole batch. The main process decides
when to end, and it alone writes files.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_cosdd.errors import BadInputError
from napari_cosdd.methods.values import Batch


class Processes:
    """The processes that train one model; this one alone if there are no others.

    Attributes
    ----------
    rank, size : int
        Index of this process, and number of processes.
    """

    def __init__(self) -> None:
        joined = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if joined else 0
        self.size = dist.get_world_size() if joined else 1

    @property
    def is_main(self) -> bool:
        """Whether this process decides, and writes files."""
        return self.rank == 0

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that cannot be shared.

        Raises
        ------
        BadInputError
            If the batch size is no multiple of the number of processes.
        """
        if batch_size % self.size:
            raise BadInputError(
                f"a batch of {batch_size} cannot be shared evenly by {self.size} "
                f"processes; use a batch size that is a multiple of {self.size}"
            )

    def share_of(self, batch: Batch) -> Batch:
        """Return this process's part of a batch."""
        mine = slice(self.rank, None, self.size)
        return batch if self.size == 1 else batch.part(mine)

    def average_gradients(
        self, parameters: Sequence[nn.Parameter], counting: Tensor | int
    ) -> None:
        """Replace gradients by their mean over all values that count.

        Parameters
        ----------
        parameters : sequence of Parameter
            With the gradients of this process.
        counting : Tensor or int
            Number of values that count in its share of the batch.
        """
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        total = flat.new_ones(1) * counting
        flat *= total
        dist.all_reduce(flat)
        dist.all_reduce(total)
        flat /= total.clamp(min=1)
        for gradient, mean in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(mean.view(gradient.shape))

    def agree(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Return the values of the main process."""
        if self.size == 1:
            return list(values)
        shared = torch.tensor(list(values), dtype=torch.float64, device=device)
        dist.broadcast(shared, 0)
        return shared.tolist()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the processes that torchrun started; without it, use this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield Processes()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Processes()
    finally:
        dist.destroy_process_group()
