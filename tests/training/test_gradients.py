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


@pytest.mark.parametrize("name", ["cosdd", "hdn"])
def test_the_kl_of_micro_batches_weighs_by_the_pixels_that_count(batch, name):
    """Also where few pixels count, all over a crop."""
    method = build(name)
    weight = torch.zeros_like(batch.weight)
    weight[0, 0, ::8, ::8] = 1
    weight[1:3, ..., :16] = 1  # and none in the last crop
    kl = torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(1))
    whole = Batch(batch.x, batch.target, weight)
    (at_once,) = method.kl_by_level([kl], whole)
    parts = [whole.part(slice(i, i + 1)) for i in range(4)]
    one_by_one = sum(
        method.kl_by_level([kl[i : i + 1]], part)[0] * part.counting / whole.counting
        for i, part in enumerate(parts)
    )
    torch.testing.assert_close(one_by_one, at_once)


def test_the_kl_is_the_same_where_all_pixels_count(batch):
    method, kl = build("cosdd"), torch.rand(4, 8, 8)
    every = Batch(batch.x, batch.target, torch.ones_like(batch.weight))
    without = Batch(batch.x, batch.target, None)
    torch.testing.assert_close(
        method.kl_by_level([kl], every), method.kl_by_level([kl], without)
    )
