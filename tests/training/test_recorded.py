"""Steps that are recorded as CUDA graphs, and what happens where that fails."""

from contextlib import contextmanager

import pytest
import torch

from helpers import awaken, build
from napari_cosdd import cuda_graphs
from napari_cosdd.cuda_graphs import RUNS_BEFORE, GraphRecorder
from napari_cosdd.methods.values import Batch, Moment
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.stepper import Stepper


class Graph:
    """Stands in for a CUDA graph: notes when it is replayed."""

    made: list["Graph"]

    def __init__(self):
        self.replays = 0
        self.made.append(self)

    def register_generator_state(self, generator):
        self.generator = generator

    def replay(self):
        self.replays += 1


@pytest.fixture
def recorder(monkeypatch):
    """A recorder on a machine without a GPU, whose graphs are stand-ins."""

    @contextmanager
    def recording(graph, pool, capture_error_mode):
        yield

    Graph.made = []
    for name, value in {
        "CUDAGraph": Graph,
        "graph": recording,
        "graph_pool_handle": object,
        "synchronize": lambda device: None,
    }.items():
        monkeypatch.setattr(cuda_graphs.torch.cuda, name, value)
    return GraphRecorder(torch.Generator().manual_seed(3), enabled=True)


def test_work_is_recorded_after_some_runs_for_each_key(recorder):
    runs = []
    for _ in range(RUNS_BEFORE + 3):
        for key in ("a", "b"):
            recorder.run(key, lambda key=key: runs.append(key))
    assert runs.count("a") == RUNS_BEFORE + 1  # once to record it
    assert [graph.replays for graph in Graph.made] == [3, 3]
    recorder.forget()
    recorder.run("a", lambda: runs.append("a"))
    assert runs.count("a") == RUNS_BEFORE + 2
    assert recorder.n_graphs == 0


def test_work_that_cannot_be_recorded_runs_as_before(recorder, monkeypatch):
    @contextmanager
    def refused(graph, pool, capture_error_mode):
        yield
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(cuda_graphs.torch.cuda, "graph", refused)
    before, drawn = recorder.generator, []

    def draw():
        drawn.append(float(torch.rand(1, generator=recorder.generator)))

    for _ in range(RUNS_BEFORE + 3):
        recorder.run("a", draw)
    assert not recorder.enabled
    assert recorder.generator is not before
    same = torch.Generator().manual_seed(3)
    expected = [float(torch.rand(1, generator=same)) for _ in range(RUNS_BEFORE + 3)]
    del drawn[RUNS_BEFORE]  # of the recording that failed
    assert drawn == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_recorded_and_plain_steps_give_equal_weights():
    """Over two stages and both phases of the KL, on a real GPU."""
    device, weights = torch.device("cuda"), []
    x = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for recorded in (True, False):
        config = TrainingConfig(batch_size=4)
        method = awaken(build("cosdd", closed_steps=6, kl_warmup_steps=10))
        stepper = Stepper(method, config, device, 0)
        stepper.recorded.recorder.enabled = recorded
        for step in range(16):
            moment = Moment(step, 100, step / 100)
            list(stepper.step(Batch(x.to(device)), moment, 1e-3, "from random weights"))
        assert stepper.recorded.recorder.n_graphs == 2 * recorded
        weights.append(torch.cat([p.detach().flatten() for p in stepper.parameters]))
    torch.testing.assert_close(*weights, atol=1e-4, rtol=0)
