import dask.array as da
import numpy as np
import pytest

from helpers import TINY, TRAINING
from napari_cosdd import api
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.image import Image
from napari_cosdd.settings.prediction import PredictionConfig

CONFIG = PredictionConfig(n_samples=3, n_kept=2, tile_size=32, margin=8, batch_size=2)


@pytest.fixture
def movie(noisy):
    frames = np.stack([noisy, noisy[::-1]])[:, None, :80, :60].astype(np.float32)
    return Image(frames, "TCYX", "movie")


@pytest.mark.parametrize("what", ["mean", "deviation", 0, 1])
def test_a_chunk_is_that_of_the_whole_image(model, movie, what):
    expected = api.denoise(movie, model, **CONFIG.model_dump())
    whole = expected.samples[what] if isinstance(what, int) else getattr(expected, what)
    lazy = api.denoise_lazily(model, movie, CONFIG, what=what)
    assert (lazy.shape, lazy.dtype) == (movie.data.shape, np.float32)
    assert lazy.chunksize == (1, 1, 32, 32)
    part = (1, 0, slice(40, 70), slice(20, 50))
    np.testing.assert_allclose(lazy[part], whole[part], rtol=1e-5)


def test_of_one_sample_no_other_one_is_drawn(model, movie, monkeypatch):
    method, drawn = type(model.method), []
    draw = method.sample_posterior

    def counted(self, features, noise):
        drawn.append(len(features[0]))
        return draw(self, features, noise)

    monkeypatch.setattr(method, "sample_posterior", counted)
    lazy = api.denoise_lazily(model, movie, CONFIG, what=5)
    lazy[0, 0, :32, :32].compute()
    assert drawn == [1]


@pytest.mark.parametrize("what", [-1, True, "mode", 1.0])
def test_parts_that_there_are_not_are_told(model, movie, what):
    with pytest.raises(BadInputError, match="expected mean, deviation or the number"):
        api.denoise_lazily(model, movie, CONFIG, what=what)


def test_only_what_is_looked_at_is_computed(model, movie):
    read = []

    def load(block, block_id=None):
        read.append(block_id)
        return block

    source = da.from_array(movie.data, chunks=(1, 1, 80, 60)).map_blocks(
        load, meta=np.empty((0,) * 4, np.float32)
    )
    lazy = api.denoise_lazily(model, Image(source, "TCYX"), CONFIG)
    assert read == []
    lazy[1, 0, 10, 10].compute()
    assert {place[0] for place in read} == {1}


def test_other_orders_of_axes(model, movie):
    turned = Image(np.moveaxis(movie.data, 0, -1)[0], "YXT")
    expected = api.denoise(turned, model, **CONFIG.model_dump()).mean
    lazy = api.denoise_lazily(model, turned, CONFIG)
    np.testing.assert_allclose(np.asarray(lazy), expected)


def test_what_the_method_cannot_give_is_told(movie, noisy):
    blind = api.fit(noisy, method="n2v", **TINY["n2v"], **TRAINING)
    assert api.denoise_lazily(blind, movie, CONFIG).shape == movie.data.shape
    with pytest.raises(BadInputError, match=r"'deviation': .* expected mean$"):
        api.denoise_lazily(blind, movie, CONFIG, what="deviation")


def test_the_image_is_not_read_to_be_given_a_name(model, movie):
    class Unread(np.ndarray):
        def __reduce__(self):
            raise AssertionError("the pixels were pickled")

    unread = movie.with_data(movie.data.view(Unread), "movie")
    api.denoise_lazily(model, unread, CONFIG)
