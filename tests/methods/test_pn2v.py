"""Probabilistic Noise2Void against its own mathematics."""

import math

import pytest
import torch

from helpers import build
from napari_cosdd.methods.outputs import DEVIATION, MEAN
from napari_cosdd.methods.pn2v import PRIOR_MEAN
from napari_cosdd.methods.values import Batch


@pytest.fixture
def method():
    return build("pn2v").eval()


def generator():
    return torch.Generator().manual_seed(0)


def fixed(method, signals):
    """Let the network predict the same signals everywhere."""
    with torch.no_grad():
        for parameter in method.net.out[-1].parameters():
            parameter.zero_()
        method.offsets.copy_(torch.tensor(signals))


def test_the_estimate_is_the_posterior_of_the_signals_by_bayes(method):
    """Equation 11, with every sum written out."""
    signals = [-1.5, -0.4, 0.1, 0.6, 1.1, 2.0]
    fixed(method, signals)
    x = torch.linspace(-1.5, 1.5, 64).reshape(1, 1, 8, 8)
    with torch.no_grad():
        found = method.predict(x)
    grey = method.spec.to_grey(torch.tensor(signals).reshape(-1, 1, 1, 1)).flatten()
    for i, j in [(0, 0), (3, 4), (7, 7)]:
        seen = method.spec.to_grey(x)[0, 0, i, j]
        weights = [math.exp(method.noise_model.log_prob(seen, s)) for s in grey]
        total = sum(weights)
        mean = sum(w * s for w, s in zip(weights, signals, strict=True)) / total
        square = sum(w * s * s for w, s in zip(weights, signals, strict=True)) / total
        assert found[MEAN.name][0, 0, i, j].item() == pytest.approx(mean, abs=1e-4)
        spread = found[DEVIATION.name][0, 0, i, j].item()
        assert spread == pytest.approx(math.sqrt(square - mean**2), abs=1e-3)
    assert torch.allclose(found[PRIOR_MEAN.name], torch.tensor(signals).mean())


def test_the_loss_is_the_likelihood_of_hidden_pixels(method):
    """Equation 7, with every sum written out."""
    signals = [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
    fixed(method, signals)
    x = torch.full((2, 1, 16, 16), 0.3)
    found = method.losses(Batch(x), generator()).objectives["nll"].item()
    grey = method.spec.to_grey(torch.tensor(signals).reshape(-1, 1, 1, 1)).flatten()
    seen = method.spec.to_grey(x)[0, 0, 0, 0]
    weights = [math.exp(method.noise_model.log_prob(seen, s)) for s in grey]
    expected = -math.log(sum(weights) / 6) - math.log(method.spec.normalization.std[0])
    assert found == pytest.approx(expected, abs=1e-3)


def test_impossible_pixels_have_a_finite_estimate(method):
    x = torch.full((1, 1, 16, 16), 1e6)
    with torch.no_grad():
        found = method.predict(x)
    assert all(bool(torch.isfinite(values).all()) for values in found.values())


def test_the_signals_of_a_hidden_pixel_cannot_see_it(method):
    """A hidden pixel's value is replaced before the network sees the image."""
    x = torch.randn(1, 1, 32, 32, generator=generator(), requires_grad=True)
    seen = []
    forward = method.net.forward
    method.net.forward = lambda blind: seen.append(blind) or forward(blind)
    method.losses(Batch(x), generator())
    (blind,) = seen
    changed = (blind != x).nonzero()
    assert len(changed) >= 1
    for index in changed.tolist():
        (gradient,) = torch.autograd.grad(blind[tuple(index)], x, retain_graph=True)
        assert gradient[tuple(index)] == 0
