import numpy as np
import pytest
import torch

from helpers import build
from napari_cosdd import api
from napari_cosdd.errors import DeviceLostError, NotEnoughMemoryError
from napari_cosdd.events import Denoised, Warned
from napari_cosdd.images.formats.any import read_image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.methods.outputs import MEAN, sample_output
from napari_cosdd.prediction import memory
from napari_cosdd.prediction.lazy import denoise_lazily
from napari_cosdd.prediction.memory import (
    ON_CPU,
    ON_GPU,
    sample_bytes,
    samples_at_once,
)
from napari_cosdd.prediction.on_disk import denoising_on_disk
from napari_cosdd.prediction.request import DenoiseRequest
from napari_cosdd.prediction.result_files import result_paths
from napari_cosdd.prediction.tiles import pieces_of, tiles_for
from napari_cosdd.settings.prediction import PredictionConfig

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def free(monkeypatch):
    """Let there be so many bytes of free memory."""

    def set_free(n):
        monkeypatch.setattr(memory, "available_bytes", lambda device: n)

    return set_free


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_what_a_sample_takes_grows_with_its_pixels(name, ndim, monkeypatch):
    method = build(name, ndim)
    small = sample_bytes(method, CPU)
    assert small >= 8  # the image and the result alone
    monkeypatch.setattr(memory, "TRIED", 128)
    assert sample_bytes(method, CPU) == pytest.approx(small, rel=0.05)


def test_wider_networks_take_more(name):
    wide = sample_bytes(build(name, n_channels=64, n_signals=24), CPU)
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
    config = PredictionConfig(n_samples=3, tile_size=256, margin=128, device="cpu")

    def run():
        events = list(api.denoising(model, image, config))
        (last,) = (e.result for e in events if isinstance(e, Denoised))
        return [e.message for e in events if isinstance(e, Warned)], last.mean

    free(1 << 40)
    told, whole = run()
    assert told == []
    free(0)
    told, small = run()
    assert told == ["memory is short: tiles are denoised in smaller pieces"]
    np.testing.assert_allclose(small, whole, atol=1e-3 * whole.std())


@pytest.mark.parametrize(
    ("room", "margin", "read"),
    [
        # The whole image fits, however large tiles may be; 4 pixels lie beyond it.
        (100 * 132, 4, [(100, 132)]),
        (90 * 90, 4, [(100, 68), (100, 72)]),
        (100 * 100, 16, [(100, 80), (100, 84)]),
        (100, 4, [(52, 68), (56, 68), (52, 72), (56, 72)]),  # and no further
    ],
)
def test_tiles_are_cut_until_they_fit_with_their_margins(
    noisy, model, room, margin, read
):
    source = stack_of(*api.as_images(noisy, "YX"), 2, "nothing")
    config = PredictionConfig(margin=margin)
    (tile,) = tiles_for(model, source, config)
    pieces = list(pieces_of(tile, model, config, room))
    assert [tuple(r.stop - r.start for r in p.read) for p in pieces] == read
    covered = np.zeros(source.size, int)
    for piece in pieces:
        covered[piece.core] += 1
    assert (covered == 1).all()


def test_on_disk_and_lazily_too_memory_that_is_short_changes_nothing(
    noisy, model, free, tmp_path
):
    (image,) = api.as_images(noisy, "YX")
    config = PredictionConfig(
        n_samples=2, n_kept=1, tile_size=128, margin=128, device="cpu"
    )

    def run(name):
        paths = result_paths(tmp_path, name, [MEAN, sample_output(0)], "zarr", False)
        list(denoising_on_disk(model, image, DenoiseRequest(paths, config)))
        on_disk = read_image(paths[MEAN]).data[:]
        return on_disk, np.asarray(denoise_lazily(model, image, config))

    free(1 << 40)
    whole = run("whole")
    free(0)
    for found, expected in zip(run("pieces"), whole, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3 * expected.std())


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
