"""The benchmark of a GPU runs anywhere, with tiny sizes."""

import io
import json

import numpy as np
import pytest
from benchmarks import gpu, movie
from benchmarks.common import RESULTS, SHARED
from rich.console import Console

from napari_cosdd import api
from napari_cosdd.datasets.calcium import calcium_movie, with_noise


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


@pytest.fixture(scope="module")
def calcium():
    rng = np.random.default_rng(0)
    masks, traces, clean = calcium_movie(rng, 24, side=96, n_neurons=6)
    return masks, traces, clean, with_noise(clean, rng)


def test_a_clean_movie_has_its_amplitudes_and_its_brightness(calcium):
    masks, traces, clean, _ = calcium
    found = movie.amplitudes(masks, traces, clean + 100)
    assert found["neurons"] >= 1
    assert found["amplitude"] == pytest.approx(1, abs=0.01)
    half = movie.amplitudes(masks, traces, 0.5 * clean)
    assert half["amplitude"] == pytest.approx(0.5, abs=0.01)
    assert movie.brightness(clean, clean + 100)["brightness_jump_largest"] == 0
    flicker = (clean + 100) * np.where(np.arange(24) == 7, 1.02, 1)[:, None, None]
    jump = movie.brightness(clean, flicker)["brightness_jump_largest"]
    assert jump == pytest.approx(0.02, rel=0.01)


def test_a_denoised_movie_keeps_its_brightness_from_frame_to_frame(calcium):
    """The mean of a frame is that of the noisy frame; there are no jumps of its own."""
    _, _, clean, noisy = calcium
    settings = {"max_steps": 20, "batch_size": 4, "device": "cpu"}
    model = api.fit(noisy, axes="TYX", noise_axis="x", receptive_field=9, **settings)
    result = api.denoise(noisy, model, axes="TYX", n_samples=4, device="cpu").mean
    change = result.mean((1, 2)) / noisy.mean((1, 2)) - 1
    assert np.abs(np.diff(change)).max() < 0.01
    assert np.abs(change).max() < 0.02
    assert (
        np.abs(result - clean - 100).mean() < 0.5 * np.abs(noisy - clean - 100).mean()
    )


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda p: p.stem)
def test_stored_results_can_be_read_and_say_where_they_were_measured(path):
    stored = json.loads(path.read_text())
    assert stored["results"]
    assert stored["machine"]["processor"]
