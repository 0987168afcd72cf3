import torch
from torch.distributions import Normal, kl_divergence

from napari_cosdd.distributions.gaussian import SCALE_FLOOR, DiagonalGaussian


def densities():
    torch.manual_seed(0)
    loc, scale = torch.randn(2, 50), torch.rand(2, 50) + 0.1
    return DiagonalGaussian(loc[0], scale[0]), DiagonalGaussian(loc[1], scale[1])


def test_kl_agrees_with_torch():
    q, p = densities()
    expected = kl_divergence(Normal(q.loc, q.scale), Normal(p.loc, p.scale))
    assert torch.allclose(q.kl(p), expected, atol=1e-5)


def test_kl_of_equal_densities_is_zero_and_of_others_positive():
    q, p = densities()
    assert torch.allclose(q.kl(q), torch.zeros(50), atol=1e-6)
    assert (q.kl(p) > 0).all()


def test_zero_channels_are_the_standard_normal_density():
    q = DiagonalGaussian.from_channels(torch.zeros(1, 4, 2, 2))
    assert torch.allclose(q.loc, torch.zeros(1, 2, 2, 2))
    assert torch.allclose(q.scale, torch.ones(1, 2, 2, 2) + SCALE_FLOOR, atol=1e-3)


def test_scales_have_a_floor():
    q = DiagonalGaussian.from_channels(torch.full((1, 2, 1), -1e4))
    assert float(q.scale) >= 0.999 * SCALE_FLOOR


def test_draws_have_the_stated_moments():
    q = DiagonalGaussian(torch.tensor([3.0]), torch.tensor([0.5]))
    noise = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    draws = q.rsample(noise)
    assert abs(float(draws.mean()) - 3) < 0.01
    assert abs(float(draws.std()) - 0.5) < 0.01
