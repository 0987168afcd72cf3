"""The benchmark of a GPU runs anywhere, with tiny sizes."""

import io

import pytest
from benchmarks import gpu
from benchmarks.common import SHARED
from rich.console import Console


def dry_run(parts, tasks, monkeypatch):
    """Run parts on this machine; return what they would have saved."""
    saved = {}
    monkeypatch.setattr(gpu, "save", lambda _name, results: saved.update(results))
    sizes = gpu.Sizes(crop=32, batch=2, steps=1, side=128, train_steps=2)
    console = Console(file=io.StringIO(), width=200)
    gpu.run(console, parts, tasks, sizes)
    assert "failed" not in console.file.getvalue()
    return saved


def test_steps_samples_and_graphs_are_measured(monkeypatch):
    quick = {k: v for k, v in gpu.STEPS.items() if k.startswith(("quick", "standard"))}
    monkeypatch.setattr(gpu, "STEPS", quick)
    saved = dry_run(["graphs", "steps", "samples"], [], monkeypatch)
    steps = [saved[f"steps/{name}"] for name in quick]
    assert all(step["megapixels_per_s"] > 0 for step in steps)
    assert all(step["estimated_gib"] > 0 for step in steps)
    assert saved["samples/standard 128²"]["sample_by_first"] < 1
    assert saved["graphs/largest difference of a weight"]["value"] == 0


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared images")
def test_trainings_are_scored(monkeypatch):
    saved = dry_run(["quality"], ["w2s/stripes:quick"], monkeypatch)
    result = saved["quality/w2s/stripes/quick"]
    assert result["steps"] == 2
    assert result["psnr"] > 25  # the pretrained start
