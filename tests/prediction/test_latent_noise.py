import numpy as np
import pytest
import torch
from scipy import stats

from napari_cosdd.prediction.latent_noise import PositionNoise, philox

CPU = torch.device("cpu")


def noise(level, shape, *, seed=0, image=0, samples=(0,), origin=(0, 0), stride=1):
    size = [n * stride for n in shape[2:]]
    make = PositionNoise(samples, size, CPU, seed=seed, image=image, origin=origin)
    return make(level, torch.Size(shape))


def test_philox_agrees_with_the_published_vectors():
    """Known answers of the authors' Random123 for philox4x32, 10 rounds."""
    ones = 0xFFFFFFFF
    cases = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (ones,) * 4,
            (ones, ones),
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, expected in cases:
        words = tuple(torch.tensor([c]) for c in counter)
        assert tuple(int(w) for w in philox(words, key)) == expected


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_any_region_sees_the_same_field(stride):
    whole = noise(1, (2, 6, 20, 30), samples=(3, 4), stride=stride)
    part = noise(
        1, (1, 6, 5, 7), samples=(4,), origin=(8 * stride, 12 * stride), stride=stride
    )
    assert torch.equal(whole[1:, :, 8:13, 12:19], part)


def test_seed_image_sample_level_and_channel_each_give_another_field():
    base = noise(0, (1, 1, 16, 16))
    others = [
        noise(0, (1, 1, 16, 16), seed=1),
        noise(0, (1, 1, 16, 16), image=1),
        noise(0, (1, 1, 16, 16), samples=(1,)),
        noise(1, (1, 1, 16, 16)),
        noise(0, (1, 2, 16, 16))[:, 1:],
        noise(0, (1, 9, 16, 16))[:, 8:],
    ]
    for i, a in enumerate([base, *others]):
        for b in others[i:]:
            if a is not b:
                r = np.corrcoef(a.flatten(), b.flatten())[0, 1]
                assert abs(r) < 0.25


def test_it_is_standard_normal_and_white():
    x = noise(0, (1, 5, 256, 256)).double().numpy()
    assert stats.kstest(x.ravel()[::7], "norm").pvalue > 1e-3
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.01
    for shift in ((0, 1), (1, 0), (1, 1)):
        rolled = np.roll(x, shift, (2, 3))
        assert abs((x * rolled).mean()) < 0.01
    assert abs(np.corrcoef(x.reshape(5, -1)) - np.eye(5)).max() < 0.02


def test_three_dimensions_and_one():
    assert noise(0, (1, 3, 2, 4, 5), origin=(0, 0, 0)).shape == (1, 3, 2, 4, 5)
    assert noise(0, (2, 3, 9), samples=(0, 1), origin=(0,)).shape == (2, 3, 9)
