import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cosdd.prediction.tile_grid import NARROW, pixels_lost, tile_grid


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(1, 90),
    st.integers(0, 40),
    st.sampled_from([1, 2, 8, 16]),
)
@settings(max_examples=200, deadline=None)
def test_cores_partition_and_tiles_fit_the_network(height, width, tile, margin, step):
    covered = np.zeros((height, width), int)
    for part in tile_grid((height, width), (tile,) * 2, (margin,) * 2, (step,) * 2):
        covered[part.core] += 1
        for core, read, size in zip(part.core, part.read, (height, width), strict=True):
            assert read.start % step == 0
            assert (read.stop - read.start) % step == 0
            assert read.start <= max(0, core.start - margin)
            assert read.stop >= min(size, core.stop + margin)
            assert read.stop < size + pixels_lost(step) + step
            assert read.stop >= core.stop + pixels_lost(step)
    assert (covered == 1).all()


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(0, 40),
    st.sampled_from([1, 2, 8, 16]),
)
@settings(max_examples=200, deadline=None)
def test_halves_cover_a_tile_and_see_as_much(height, width, margin, step):
    for whole in tile_grid((height, width), (256,) * 2, (margin,) * 2, (step,) * 2):
        halves = whole.halves((margin,) * 2, (step,) * 2)
        if halves is None:
            assert max(c.stop - c.start for c in whole.core) <= max(NARROW, step)
            continue
        covered = np.zeros((height, width), int)
        for part in halves:
            covered[part.core] += 1
            assert part.pixels <= whole.pixels
            for c, r, outer in zip(part.core, part.read, whole.read, strict=True):
                assert r.start % step == 0
                assert (r.stop - r.start) % step == 0
                assert r.start <= max(outer.start, c.start - margin)
                assert r.stop >= min(outer.stop, c.stop + margin)
                assert r.stop >= c.stop + pixels_lost(step)
        assert (covered[whole.core] == 1).all()
        assert covered.sum() == covered[whole.core].sum()
