import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cosdd.inference.tiler import tile_grid


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
            assert read.stop < size + step
    assert (covered == 1).all()
