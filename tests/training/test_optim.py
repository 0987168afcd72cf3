import numpy as np
import pytest
import torch
from torch import nn

from napari_cosdd.training.optim import (
    Anchor,
    AveragedWeights,
    GradientGuard,
    cosine_rate,
    step_unless,
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
        average.update(average.next_weight())
    assert float(average.average[0]) == pytest.approx(1, abs=1e-3)
    with torch.no_grad():
        weight.copy_(torch.full((1,), 5.0))
    average.swap()
    assert float(weight.detach()) == pytest.approx(1, abs=1e-3)
    average.swap()
    assert float(weight.detach()) == 5


def stepped(guard, weight, gradient):
    """Take a step with a gradient; return how far the weight moved against it."""
    before = weight.detach().clone()
    weight.grad = torch.tensor([float(gradient)])
    skip, norm = guard.check([weight])
    if not skip:
        with torch.no_grad():
            weight -= weight.grad
    return float(before - weight.detach()), float(norm)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(
    ("gradient", "moved"),
    [(1.0, 1.0), (20.0, 5.0), (1e3, 5.0), (1e6, 0.0), (np.nan, 0.0)],
)
def test_exploding_and_undefined_gradients_change_nothing(scale, gradient, moved):
    """Relative to the usual gradient, which differs a lot between images."""
    weight, guard = nn.Parameter(torch.zeros(1)), GradientGuard(5.0)
    for _ in range(20):
        stepped(guard, weight, scale)
    with torch.no_grad():
        weight.zero_()
    found, norm = stepped(guard, weight, scale * gradient)
    assert found == pytest.approx(scale * moved, rel=1e-2)
    assert norm == pytest.approx(scale * gradient, rel=1e-3, nan_ok=True)
    assert float(guard.skipped) == float(guard.skipped_in_row) == (moved == 0)
    stepped(guard, weight, scale)
    assert (float(guard.skipped), float(guard.skipped_in_row)) == (moved == 0, 0)


def test_the_guard_follows_a_slow_change_of_the_gradient():
    weight, guard = nn.Parameter(torch.zeros(1)), GradientGuard(5.0)
    for step in range(400):
        stepped(guard, weight, 1.02**step)
    assert guard.skipped == 0


def test_a_first_gradient_of_zero_says_nothing_of_what_is_usual():
    weight, guard = nn.Parameter(torch.zeros(1)), GradientGuard(5)
    stepped(guard, weight, 0.0)
    stepped(guard, weight, 3.0)
    assert guard.usual == 3


@pytest.mark.parametrize("fused", [True, False])
def test_a_skipped_step_changes_neither_weights_nor_moments(fused):
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([weight], 0.1, fused=fused)
    for skip in (False, True, False):
        weight.grad = torch.full((2,), np.nan if skip else 1.0)
        step_unless(optimizer, torch.tensor(skip))
    assert optimizer.state[weight]["step"] == 2
    np.testing.assert_allclose(weight.detach(), 0.8, rtol=1e-5)


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
