import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from napari_cosdd.distributions.mixture import GaussianMixture


def mixture(n_points=1):
    torch.manual_seed(0)
    location = torch.randn(1, 1, 1, n_points)
    parameters = torch.randn(1, 1, 3, 4, 1, n_points)
    return GaussianMixture.from_parameters(location, parameters, 0.02)


def test_integrates_to_one():
    one = mixture()
    x = torch.linspace(-60, 60, 240_001)
    wide = GaussianMixture(*(t.expand(-1, -1, -1, -1, len(x)) for t in _parts(one)))
    density = wide.log_prob(x.reshape(1, 1, 1, -1)).exp()
    assert abs(float(torch.trapezoid(density.flatten(), x)) - 1) < 1e-4


def test_agrees_with_torch():
    ours = mixture(50)
    logits, loc, scale = (t[0, 0, :, 0].T for t in _parts(ours))
    theirs = MixtureSameFamily(Categorical(logits=logits), Normal(loc, scale))
    x = torch.randn(50)
    found = ours.log_prob(x.reshape(1, 1, 1, -1)).flatten()
    assert torch.allclose(found, theirs.log_prob(x), atol=1e-4)
    assert torch.allclose(ours.mean().flatten(), theirs.mean, atol=1e-5)
    below = ours.cdf(x.reshape(1, 1, 1, -1)).flatten()
    assert torch.allclose(below, theirs.cdf(x), atol=1e-5)


def test_samples_have_the_stated_moments():
    one = mixture()
    many = GaussianMixture(*(t.expand(-1, -1, -1, -1, 200_000) for t in _parts(one)))
    draws = many.sample(torch.Generator().manual_seed(0)).flatten()
    logits, loc, scale = (t.flatten() for t in _parts(one))
    weights = logits.softmax(0)
    mean = (weights * loc).sum()
    variance = (weights * (scale**2 + loc**2)).sum() - mean**2
    assert abs(float(draws.mean() - mean)) < 0.02
    assert abs(float(draws.var() / variance) - 1) < 0.02


def test_equal_pixels_cannot_make_the_density_infinite():
    sharp = GaussianMixture.from_parameters(
        torch.zeros(1, 1, 1, 1), torch.full((1, 1, 3, 2, 1, 1), -1e4), 0.01
    )
    assert torch.isfinite(sharp.log_prob(sharp.loc[:, :, 0]))


def _parts(m):
    return m.logits, m.loc, m.scale
