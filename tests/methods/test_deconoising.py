"""DecoNoising against its own mathematics."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from helpers import build
from napari_cosdd.methods.deconoising import DECONVOLVED
from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.methods.values import Batch


@pytest.mark.parametrize("psf", [0.6, 1.0, 2.5])
def test_the_blur_is_a_gaussian_and_keeps_the_light(psf):
    method = build("deconoising", psf=psf)
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    spread = method.blurred(point)
    assert spread.sum().item() == pytest.approx(1, abs=1e-5)
    y = torch.arange(41) - 20.0
    width = (spread[0, 0].sum(1) * y**2).sum().sqrt().item()
    assert width == pytest.approx(psf, rel=0.03)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_blur_mirrors_at_borders_and_leaves_z_alone(ndim):
    method = build("deconoising", ndim=ndim)
    size = (6, 12, 14)[-ndim:]
    image = np.random.default_rng(0).normal(size=size).astype(np.float32)
    widths = ((0, 1, 1), (1, 1), (1,))[3 - ndim]
    expected = ndimage.gaussian_filter(image, widths, mode="mirror", truncate=3)
    found = method.blurred(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_point_spread_is_in_pixels_of_the_image_for_grids():
    method = build("deconoising", psf=2.0)
    method.spec = method.spec.model_copy(update={"grid": 2})
    point = torch.zeros(1, 1, 21, 21)  # every second pixel of the image
    point[0, 0, 10, 10] = 1
    expected = build("deconoising", psf=1.0).blurred(point)
    torch.testing.assert_close(method.blurred(point), expected)


def test_the_estimate_is_the_blur_of_the_deconvolved_image():
    method = build("deconoising").eval()
    x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = method.predict(x)
    blurred = method.blurred(found[DECONVOLVED.name])
    assert torch.allclose(found[MEAN.name], blurred)


def test_negative_grey_levels_are_punished_by_their_size():
    method = build("deconoising", positivity=2.0)
    with torch.no_grad():
        for parameter in method.net.out[-1].parameters():
            parameter.zero_()
        method.net.out[-1].bias.fill_(-0.7)
    losses = method.losses(
        Batch(torch.zeros(1, 1, 16, 16)), torch.Generator().manual_seed(0)
    )
    assert losses.objectives["negative"].item() == pytest.approx(1.4, abs=1e-4)
    assert losses.objectives["masked_mse"].item() == pytest.approx(0.49, abs=1e-4)
    free = build("deconoising", positivity=0)
    only = free.losses(
        Batch(torch.zeros(1, 1, 16, 16)), torch.Generator().manual_seed(0)
    )
    assert set(only.objectives) == {"masked_mse"}
