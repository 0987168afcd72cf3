import numpy as np
import pytest
import torch

from helpers import build
from napari_cosdd import api
from napari_cosdd.errors import DeviceLostError, NotEnoughMemoryError
from napari_cosdd.events import Denoised, Warned
from napari_cosdd.inference import memory
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.inference.memory import (
    ON_CPU,
    ON_GPU,
    sample_bytes,
    samples_at_once,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def free(monkeypatch):
    """Let there be so many bytes of free memory."""

    def set_free(n):
        monkeypatch.setattr(memory, "free_bytes", lambda device: n)

    return set_free


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_what_a_sample_takes_grows_with_its_pixels(name, ndim, monkeypatch):
    method = build(name, ndim)
    small = sample_bytes(method, CPU)
    assert small >= 8  # the image and the result alone
    monkeypatch.setattr(memory, "TRIED", 128)
    assert sample_bytes(method, CPU) == pytest.approx(small, rel=0.05)


def test_wider_networks_take_more(name):
    wide = sample_bytes(build(name, n_channels=32), CPU)
    assert wide > 2 * sample_bytes(build(name), CPU)


def test_as_many_samples_as_are_fast_and_fit(free):
    method, pixels = build("cosdd"), 256 * 256
    each = sample_bytes(method, CPU) * pixels * memory.BESIDE / memory.SHARE
    free(1000 * each)
    assert samples_at_once(method, pixels, CPU) == ON_CPU
    assert samples_at_once(method, pixels, GPU) == ON_GPU
    free(5.5 * each)
    assert samples_at_once(method, pixels, GPU) == 5
    free(0)
    assert samples_at_once(method, pixels, GPU) == 1


def test_short_memory_is_told_and_changes_nothing(noisy, model, free):
    """With the whole image as margin a tile's samples are those of the whole."""
    (image,) = api.as_images(noisy, "YX")
    config = InferenceConfig(n_samples=3, tile_size=256, margin=128, device="cpu")

    def run():
        events = list(api.denoising(model, image, config))
        (last,) = (e.result for e in events if isinstance(e, Denoised))
        return [e.message for e in events if isinstance(e, Warned)], last.mean

    free(1 << 40)
    told, whole = run()
    assert told == []
    free(0)
    told, small = run()
    assert told == ["memory is short: tiles of 64 instead of 256 pixels"]
    np.testing.assert_allclose(small, whole, atol=1e-3 * whole.std())


@pytest.mark.parametrize(
    ("room", "config", "side"),
    [
        (96 * 128, {}, None),  # the whole image fits, however large tiles may be
        (90 * 90, {"margin": 0}, 64),
        (100 * 100, {"margin": 16}, 64),
        (100, {"margin": 0}, 64),  # and no further
    ],
)
def test_tiles_shrink_to_what_fits_with_their_margins(
    noisy, model, free, room, config, side
):
    (image,) = api.as_images(noisy, "YX")
    each = sample_bytes(model.method, CPU) * memory.BESIDE / memory.SHARE
    free(int((room + 1) * each))
    config = InferenceConfig(n_samples=2, device="cpu", **config)
    told = [
        e.message for e in api.denoising(model, image, config) if isinstance(e, Warned)
    ]
    expected = [f"memory is short: tiles of {side} instead of 512 pixels"]
    assert told == (expected if side else [])


@pytest.mark.parametrize("where", ["encode", "sample_posterior"])
def test_no_memory_for_a_single_sample_is_said(noisy, model, monkeypatch, where):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.method, where, full)
    monkeypatch.setattr(memory, "sample_bytes", lambda *_: 1.0)
    memory._KNOWN.clear()
    with pytest.raises(NotEnoughMemoryError, match="use a smaller tile size"):
        api.denoise(noisy, model, axes="YX", n_samples=4, device="cpu")


def test_a_lost_gpu_is_told_and_the_model_stays(noisy, model, monkeypatch):
    def lost(*_):
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    with monkeypatch.context() as patch:
        patch.setattr(model.method, "encode", lost)
        patch.setattr(memory, "sample_bytes", lambda *_: 1.0)
        memory._KNOWN.clear()
        with pytest.raises(DeviceLostError, match="what was written stays"):
            api.denoise(noisy, model, axes="YX", n_samples=4, device="cpu")
    memory._KNOWN.clear()
    api.denoise(noisy, model, axes="YX", n_samples=2, device="cpu")
