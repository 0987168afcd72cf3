"""CUDA graphs: work of many small kernels that is recorded once and then replayed.

A small network leaves a GPU idle while Python launches its kernels one by one. A graph
launches them all at once.
"""

from collections import Counter
from collections.abc import Callable, Hashable

import torch

#: Runs before recording: libraries choose and set up their kernels in the first ones.
RUNS_BEFORE = 3


class GraphRecorder:
    """Runs work, and records it as a CUDA graph where that is possible.

    Parameters
    ----------
    generator : torch.Generator
        Source of randomness of all work, on the device.
    enabled : bool
        Whether to record at all; without, work simply runs.

    Attributes
    ----------
    generator : torch.Generator
        As given; a new one of the same state if a recording failed.
    """

    def __init__(self, generator: torch.Generator, *, enabled: bool) -> None:
        self.generator, self.enabled = generator, enabled
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self._runs: Counter[Hashable] = Counter()
        # One graph runs at a time, so all may use the same memory.
        self._pool = torch.cuda.graph_pool_handle() if enabled else None

    def run(self, key: Hashable, work: Callable[[], None]) -> None:
        """Run work, or replay what was recorded under the same key.

        Parameters
        ----------
        key : hashable
            Names the operations: work of one key differs in the values of tensors only.
        work : callable
            Reads and writes tensors that outlive it, and changes nothing else.
        """
        if (graph := self._graphs.get(key)) is None and self._is_due(key):
            graph = self._record(key, work)
        if graph is not None:
            graph.replay()
            return
        work()
        self._runs[key] += 1

    def forget(self) -> None:
        """Drop all graphs, as the tensors that they work on are replaced."""
        self._graphs.clear()
        self._pool = torch.cuda.graph_pool_handle() if self.enabled else None
        self._runs.clear()

    @property
    def n_graphs(self) -> int:
        """Number of graphs recorded."""
        return len(self._graphs)

    def _is_due(self, key: Hashable) -> bool:
        return self.enabled and self._runs[key] >= RUNS_BEFORE

    def _record(
        self, key: Hashable, work: Callable[[], None]
    ) -> torch.cuda.CUDAGraph | None:
        """Return the graph of work; None, and never again, if it cannot be recorded."""
        device, state = self.generator.device, self.generator.get_state()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        try:
            with torch.cuda.graph(graph, self._pool, capture_error_mode="thread_local"):
                work()
        except (RuntimeError, NotImplementedError):
            self.enabled = False
            torch.cuda.synchronize(device)
            self.generator = torch.Generator(device)
            self.generator.set_state(state)
            return None
        self._graphs[key] = graph
        return graph
