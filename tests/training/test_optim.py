import numpy as np
import pytest
import torch
from torch import nn

from napari_cosdd.training.optim import (
    Anchor,
    AveragedWeights,
    GradientGuard,
    cosine_rate,
)


@pytest.mark.parametrize(
    ("progress", "step", "expected"),
    [(0, 0, 1.001 / 11), (0, 10, 1.001), (0.5, 500, 0.501), (1, 1000, 0.001)],
)
def test_the_rate_rises_then_falls_as_a_cosine(progress, step, expected):
    assert cosine_rate(progress, step, 10) == pytest.approx(expected)


def test_the_average_follows_and_can_be_swapped():
    weight = nn.Parameter(torch.zeros(1))
    average = AveragedWeights([weight], 0.9)
    for _ in range(300):
        with torch.no_grad():
            weight.copy_(torch.ones(1))
        average.update()
    assert float(average.average[0]) == pytest.approx(1, abs=1e-3)
    with torch.no_grad():
        weight.copy_(torch.full((1,), 5.0))
    average.swap()
    assert float(weight.detach()) == pytest.approx(1, abs=1e-3)
    average.swap()
    assert float(weight.detach()) == 5


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(
    ("gradient", "moved"),
    [(1.0, 1.0), (20.0, 5.0), (1e3, 5.0), (1e6, 0.0), (np.nan, 0.0)],
)
def test_exploding_and_undefined_gradients_change_nothing(scale, gradient, moved):
    """Relative to the usual gradient, which differs a lot between images."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 1.0)
    guard = GradientGuard(5.0)
    for _ in range(20):
        weight.grad = torch.tensor([scale])
        assert guard.step(optimizer, [weight])[0]
    with torch.no_grad():
        weight.zero_()
    weight.grad = torch.tensor([scale * gradient])
    stepped, norm = guard.step(optimizer, [weight])
    assert stepped is (moved > 0)
    assert float(-weight.detach()) == pytest.approx(scale * moved, rel=1e-3)
    assert norm == pytest.approx(scale * gradient, rel=1e-3, nan_ok=True)


def test_the_guard_follows_a_slow_change_of_the_gradient():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 1.0)
    guard = GradientGuard(5.0)
    for step in range(400):
        weight.grad = torch.tensor([1.02**step])
        assert guard.step(optimizer, [weight])[0]


def test_a_first_gradient_of_zero_says_nothing_of_what_is_usual():
    weight = nn.Parameter(torch.zeros(1))
    guard, optimizer = GradientGuard(5), torch.optim.SGD([weight], 1)
    for gradient in (0.0, 3.0):
        weight.grad = torch.full((1,), gradient)
        assert guard.step(optimizer, [weight])[0]
    assert guard.usual == 3


def test_an_anchor_holds_weights_to_where_they_started():
    """The equilibrium is where its pull is the gradient of the loss."""
    free, held = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    anchor = Anchor([held], 0.5)
    optimizer = torch.optim.SGD([free, held], 0.1)
    for _ in range(200):
        for weight in (free, held):
            weight.grad = torch.full((2,), 0.2)
        anchor.pull()
        optimizer.step()
    assert float(free[0].detach()) == pytest.approx(1 - 200 * 0.1 * 0.2)
    assert float(held[0].detach()) == pytest.approx(1 - 0.2 / 0.5, abs=1e-3)
    held.grad = None
    anchor.pull()
    assert held.grad is None
