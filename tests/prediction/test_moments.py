import numpy as np
import pytest
import torch

from napari_cosdd.prediction.moments import RunningMoments


def test_exact_far_from_zero():
    x = 10_000 + torch.randn(50, 4, 4, generator=torch.Generator().manual_seed(0))
    moments = RunningMoments(x[0])
    for part in x.split(7):
        moments.add(part)
    exact = x.double().numpy()
    np.testing.assert_allclose(moments.mean.numpy(), exact.mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        moments.deviation.numpy(), exact.std(0, ddof=1), rtol=1e-9
    )


def test_a_single_sample_has_no_deviation():
    moments = RunningMoments(torch.ones(3))
    moments.add(torch.ones(1, 3))
    assert moments.deviation.sum() == 0


def test_mirrored_pairs_have_their_deviation():
    """Their mean is exact, so that none of their variance is in it."""
    half = torch.randn(5, 2000, generator=torch.Generator().manual_seed(0))
    pairs = torch.stack([half, -half], 1).flatten(0, 1)
    for n in (2, 10):
        moments = RunningMoments(pairs[0], mirrored=True)
        moments.add(pairs[:n])
        rms = float(moments.deviation.square().mean().sqrt())
        assert rms == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("n", [3, 5, 7])
def test_a_sample_without_its_mirror_image_varies_alone(n):
    half = torch.randn(4, 20_000, generator=torch.Generator().manual_seed(0))
    pairs = torch.stack([half, -half], 1).flatten(0, 1)
    moments = RunningMoments(pairs[0], mirrored=True)
    moments.add(pairs[:n])
    assert float(moments.deviation.square().mean()) == pytest.approx(1, abs=0.02)
