import pytest
import torch

from helpers import build
from napari_cosdd.datasets.crops import Crops
from napari_cosdd.methods.values import TRAINED, Batch
from napari_cosdd.training.gradients import accumulate, evaluate


@pytest.fixture
def batch():
    """Four crops: one with few pixels that count, one with half of them."""
    generator = torch.Generator().manual_seed(0)
    x, target = torch.randn(2, 4, 1, 32, 32, generator=generator).unbind()
    weight = torch.ones_like(x)
    weight[0], weight[1, ..., :16] = 0, 0
    weight[0, 0, :4, :4] = 1
    return Batch(x, target, weight)


@pytest.mark.parametrize("micro_batch", [1, 2, 3])
def test_micro_batches_weigh_by_the_pixels_that_count(batch, micro_batch):
    def gradient(size):
        method = build("care")
        losses = accumulate(method, batch, torch.Generator(), TRAINED, micro_batch=size)
        every = [p.grad.ravel() for p in method.parameters() if p.grad is not None]
        return losses["error"], torch.cat(every)

    for whole, parts in zip(gradient(4), gradient(micro_batch), strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


def test_validation_weighs_by_the_pixels_that_count(batch):
    method = build("care").eval()
    found = evaluate(method, Crops(*(t.numpy() for t in batch)), torch.device("cpu"), 0)
    with torch.no_grad():
        expected = method.losses(batch, torch.Generator()).objectives["error"]
    assert found["loss"] == pytest.approx(float(expected), rel=1e-4)
