import numpy as np
import pytest
import torch
from torch import nn

from napari_cosdd.training.optim import AveragedWeights, cosine_rate, guarded_step


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


@pytest.mark.parametrize(
    ("gradient", "moves"), [(1.0, True), (50.0, True), (1e4, False), (np.nan, False)]
)
def test_exploding_and_undefined_gradients_change_nothing(gradient, moves):
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 1.0)
    weight.grad = torch.tensor([gradient])
    stepped, _ = guarded_step(optimizer, [weight], 10.0)
    assert stepped is moves
    assert bool(weight.detach()) is moves
    assert abs(float(weight.detach())) <= 10
