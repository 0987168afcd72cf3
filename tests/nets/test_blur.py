import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_cosdd.nets.blur import gaussian_blur


@pytest.mark.parametrize("shape", [(40,), (40, 50), (9, 30, 20)])
def test_the_blur_is_that_of_scipy(shape):
    x = np.random.default_rng(0).normal(size=shape)
    ours = gaussian_blur(torch.from_numpy(x)[None, None], 2.0, range(2, x.ndim + 2))[
        0, 0
    ].numpy()
    theirs = ndimage.gaussian_filter(x, 2.0, mode="mirror", radius=6)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_an_axis_shorter_than_the_kernel_is_blurred():
    flat = torch.full((2, 1, 3, 40), 7.0)
    torch.testing.assert_close(gaussian_blur(flat, 4.0, (2, 3)), flat)
