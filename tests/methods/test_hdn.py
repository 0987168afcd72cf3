import pytest
import torch

from helpers import build
from napari_cosdd.errors import BadInputError
from napari_cosdd.methods.values import Batch


def test_blind_levels_are_those_of_the_ladder_and_leave_one():
    method = build("hdn", blind_levels=1)
    assert method.ladder.blind_levels == 1
    assert "the lowest 1 levels blind" in method.describe()
    losses = method.losses(
        Batch(torch.randn(2, 1, 32, 32)), torch.Generator().manual_seed(0)
    )
    sum(losses.objectives.values()).backward()
    assert all(p.grad is not None for p in method.parameters() if p.requires_grad)
    with pytest.raises(BadInputError, match="2 blind levels of 2"):
        build("hdn", blind_levels=2)
