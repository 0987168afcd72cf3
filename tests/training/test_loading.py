from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import zarr

from helpers import tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import BadInputError, StoppedError
from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import Stack
from napari_cosdd.training import loading
from napari_cosdd.training.loading import load


@pytest.fixture
def movie(noisy):
    return np.stack([noisy, noisy + 1, noisy + 2]).astype(np.float32)


@pytest.fixture
def stored(movie, tmp_path):
    return zarr.create_array(tmp_path / "a.zarr", data=movie, chunks=(1, 96, 128))


def never():
    return False


@pytest.fixture
def plenty(monkeypatch):
    monkeypatch.setattr(loading, "free_host_bytes", lambda: 64 << 30)


def test_images_that_are_read_on_demand_are_loaded(movie, stored, plenty):
    here = Stack(movie, "TYX", 2)
    others = [Stack(stored, "TYX", 2), Stack(da.from_array(movie), "TYX", 2)]
    load([here, *others], never)
    assert here.data is movie
    for other in others:
        assert type(other.data) is np.ndarray
        np.testing.assert_array_equal(other.data, movie)


@pytest.mark.parametrize(("axes", "ndim"), [("ZYX", 3), ("TYX", 1), ("CYX", 2)])
def test_all_axes_are_loaded_as_they_lie(stored, movie, axes, ndim, plenty):
    stack = Stack(stored, axes, ndim)
    load([stack], never)
    np.testing.assert_array_equal(stack.data, movie)


def test_each_chunk_is_read_once(movie, plenty):
    reads = []

    def planes(block_id):
        reads.append(block_id)
        start = 2 * block_id[1]
        return movie[None, start : start + 2]

    lazy = da.map_blocks(
        planes,
        chunks=((1,), (2, 1), (96,), (128,)),
        dtype=movie.dtype,
        meta=movie[None, :0],
    )
    stack = Stack(lazy, "STYX", 2)
    load([stack], never)
    np.testing.assert_array_equal(stack.data, movie[None])
    assert sorted(reads) == [(0, 0, 0, 0), (0, 1, 0, 0)]


@pytest.mark.parametrize(
    ("free", "left", "fits"), [(8, 0, True), (7.9, 0, False), (80, 79, False)]
)
def test_what_does_not_fit_together_is_read_on_demand(
    stored, movie, monkeypatch, free, left, fits
):
    size = movie.nbytes
    monkeypatch.setattr(loading, "free_host_bytes", lambda: int(free * size))
    monkeypatch.setattr(loading, "LEFT", left * size)
    stacks = [Stack(stored, "TYX", 2) for _ in range(2)]
    load(stacks, never)
    assert [isinstance(s.data, np.ndarray) for s in stacks] == [fits, fits]


def test_several_processes_share_the_memory(stored, movie, monkeypatch):
    monkeypatch.setattr(loading, "free_host_bytes", lambda: 8 * movie.nbytes)
    monkeypatch.setattr(loading, "LEFT", 0)
    for n, fits in ((1, True), (2, True), (3, False)):
        several = SimpleNamespace(size=n)
        monkeypatch.setattr(loading, "Processes", lambda several=several: several)
        stack = Stack(stored, "TYX", 2)
        load([stack], never)
        assert isinstance(stack.data, np.ndarray) == fits


def test_loading_stops_when_asked(stored, plenty):
    with pytest.raises(StoppedError):
        load([Stack(stored, "TYX", 2)], lambda: True)


def test_what_cannot_be_loaded_is_read_on_demand(stored, movie, tmp_path, plenty):
    (chunk,) = [p for p in tmp_path.rglob("c/1/*/*") if p.is_file()]
    chunk.write_bytes(b"damaged")
    broken = Stack(stored, "TYX", 2, "movie")
    untrue = da.from_array(movie).map_blocks(lambda x: x / 3, dtype=np.uint8)
    other = Stack(untrue, "TYX", 2)
    for stack in (broken, other):
        load([stack], never)
        assert not isinstance(stack.data, np.ndarray)
    with pytest.raises(BadInputError, match=r"movie \(T 1, Y 0:96.*cannot be read"):
        api.prepare_run([Image(stored, "TYX", "movie")], tiny_recipe())


def test_a_training_cuts_its_crops_from_memory(movie, plenty):
    reads = []

    def plane(block_id):
        reads.append(block_id)
        return movie[block_id[0]][None]

    lazy = da.map_blocks(
        plane, chunks=((1, 1, 1), (96,), (128,)), dtype=np.float32, meta=movie[:0]
    )
    from_memory = api.prepare_run([Image(movie, "TYX")], tiny_recipe()).crops
    on_demand = api.prepare_run([Image(lazy, "TYX")], tiny_recipe()).crops
    n = len(reads)
    batches = [c.batch(6, np.random.default_rng(0)) for c in (from_memory, on_demand)]
    np.testing.assert_array_equal(batches[0].noisy, batches[1].noisy)
    assert len(reads) == n
