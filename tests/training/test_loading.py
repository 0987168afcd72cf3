import dask.array as da
import numpy as np
import pytest
import zarr

from helpers import tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import BadInputError, StoppedError
from napari_cosdd.images.image import Image
from napari_cosdd.training import loading
from napari_cosdd.training.loading import loaded


@pytest.fixture
def movie(noisy):
    return np.stack([noisy, noisy + 1, noisy + 2]).astype(np.float32)


@pytest.fixture
def stored(movie, tmp_path):
    return zarr.create_array(tmp_path / "a.zarr", data=movie, chunks=(1, 96, 128))


def never():
    return False


def test_images_that_are_read_on_demand_are_loaded(movie, stored):
    here = Image(movie, "TYX")
    kept, *others = loaded(
        [here, Image(stored, "TYX"), Image(da.from_array(movie), "TYX")], 2, never
    )
    assert kept is here
    for other in others:
        assert type(other.data) is np.ndarray
        np.testing.assert_array_equal(other.data, movie)


@pytest.mark.parametrize(("axes", "ndim"), [("ZYX", 3), ("TYX", 1), ("CYX", 2)])
def test_all_axes_are_loaded_as_they_lie(stored, movie, axes, ndim):
    (one,) = loaded([Image(stored, axes)], ndim, never)
    np.testing.assert_array_equal(one.data, movie)
    assert one.axes == axes


def test_what_does_not_fit_is_read_on_demand(stored, movie, monkeypatch):
    monkeypatch.setattr(loading, "free_host_bytes", lambda: 4 * movie.nbytes - 4)
    (one,) = loaded([Image(stored, "TYX")], 2, never)
    assert one.data is stored


def test_loading_stops_and_says_what_cannot_be_read(stored, tmp_path):
    with pytest.raises(StoppedError):
        loaded([Image(stored, "TYX")], 2, lambda: True)
    (chunk,) = [p for p in tmp_path.rglob("c/1/*/*") if p.is_file()]
    chunk.write_bytes(b"damaged")
    with pytest.raises(BadInputError, match=r"movie \(T 1, Y 0:96.*cannot be read"):
        loaded([Image(stored, "TYX", "movie")], 2, never)


def test_a_training_cuts_its_crops_from_memory(movie):
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
