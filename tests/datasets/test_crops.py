import numpy as np
import pytest
import torch

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.datasets.pairs import Pair, pairs_of
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.split import split
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.filling import FilledStack
from napari_cosdd.images.image import Image
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.images.stack import Stack
from napari_cosdd.training.batches import CutOnDevice, CutOnHost

SPEC = DataSpec(ndim=2, n_channels=1, normalization=Normalization(mean=(0,), std=(1,)))


def stacks(*shapes):
    """Images whose every pixel is a number of its own."""
    start, result = 0, []
    for shape in shapes:
        size = int(np.prod(shape))
        data = np.arange(start, start + size, dtype=np.float64).reshape(shape)
        result.append(Stack(data, "TYX"[-len(shape) :], 2))
        start += size
    return result


def pairs(images, targets=None):
    return [
        Pair(f"image {i}", image, None if targets is None else targets[i])
        for i, image in enumerate(images)
    ]


def pixels(images, blocks):
    found = []
    for b in blocks:
        region = tuple(slice(*pair) for pair in zip(b.start, b.stop, strict=True))
        found += images[b.stack].read(b.image, region).ravel().tolist()
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "shapes", [[(80, 96)], [(3, 64, 64), (100, 72)], [(25, 40, 40)], [(11, 64, 48)]]
)
def test_every_pixel_is_on_one_side_once(shapes, seed):
    images = stacks(*shapes)
    parts = split(images, (32, 32), (8, 8), 0, 0.1, np.random.default_rng(seed))
    train, held_out = pixels(images, parts.train), pixels(images, parts.validation)
    assert sorted(train + held_out) == sorted(
        p for s in images for p in s.data.ravel().tolist()
    )
    assert 0.05 < len(held_out) / len(train + held_out) < 0.3


@pytest.mark.parametrize("across", [0, 1])
def test_strips_are_cut_between_rows_of_noise(across):
    images = stacks((96, 128))
    parts = split(images, (32, 32), (8, 8), across, 0.1, np.random.default_rng(0))
    other = 1 - across
    assert parts.validation[0].size[other] == images[0].size[other]


def test_crops_stay_in_their_block_and_validation_is_fixed():
    images = stacks((80, 96))
    parts = split(images, (32, 32), (8, 8), 0, 0.1, np.random.default_rng(0))
    crops = CropSampler(pairs(images), SPEC, parts, (32, 32), (8, 8), symmetries=(0,))
    held_out = set(pixels(images, parts.validation))
    batch = crops.batch(50, np.random.default_rng(0)).noisy
    assert batch.shape == (50, 1, 32, 32)
    assert not held_out & set(batch.ravel().tolist())
    first, second = crops.validation().noisy, crops.validation().noisy
    np.testing.assert_array_equal(first, second)
    assert set(first.ravel().tolist()) <= held_out
    assert all(s % 8 == 0 for s in first.shape[2:])


def test_only_allowed_flips_happen():
    images = stacks((64, 64))
    parts = split(images, (16, 16), (8, 8), 0, 0.1, np.random.default_rng(0))
    crops = CropSampler(pairs(images), SPEC, parts, (16, 16), (8, 8), symmetries=(0,))
    batch = crops.batch(60, np.random.default_rng(0)).noisy[:, 0]
    down = batch[:, 1, 0] - batch[:, 0, 0]
    assert set(down.tolist()) == {64.0, -64.0}
    assert set((batch[:, 0, 1] - batch[:, 0, 0]).tolist()) == {1.0}


def test_images_are_drawn_by_their_size():
    images = stacks((64, 64), (64, 640))
    parts = split(images, (16, 16), (8, 8), 0, 0.1, np.random.default_rng(0))
    crops = CropSampler(pairs(images), SPEC, parts, (16, 16), (8, 8), ())
    corners = crops.batch(500, np.random.default_rng(0)).noisy[:, 0, 0, 0]
    assert 0.84 < np.mean(corners >= 64 * 64) < 0.97


def test_small_images_are_refused_with_a_size_that_fits():
    rng = np.random.default_rng(0)
    with pytest.raises(BadInputError, match=r"smaller than the crop.*at most 16"):
        split(stacks((24, 99)), (32, 32), (8, 8), 0, 0.1, rng)
    with pytest.raises(BadInputError, match=r"no room for validation.*at most 32"):
        split(stacks((40, 99)), (40, 40), (8, 8), 0, 0.1, rng)
    with pytest.raises(BadInputError, match=r"16 pixels along each axis are the least"):
        split(stacks((15, 15)), (8, 8), (8, 8), 0, 0.1, rng)
    split(stacks((16, 16)), (8, 8), (8, 8), 0, 0.1, rng)


def test_validation_looks_at_crops_as_large_as_a_tile():
    images = stacks(*[(200, 160)] * 10)  # whole images are held out
    parts = split(images, (32, 32), (8, 8), 0, 0.1, np.random.default_rng(0))
    crops = CropSampler(pairs(images), SPEC, parts, (32, 32), (8, 8), ())
    assert crops.validation().noisy.shape == (4, 1, 128, 128)
    large = CropSampler(pairs(images), SPEC, parts, (160, 160), (8, 8), ())
    assert large.validation().noisy.shape == (4, 1, 200, 160)


def sampler(images, targets=None, crop=16, symmetries=(0, 1)):
    parts = split(images, (crop, crop), (8, 8), 0, 0.1, np.random.default_rng(0))
    return CropSampler(
        pairs(images, targets), SPEC, parts, (crop, crop), (8, 8), symmetries
    )


def test_targets_are_cut_and_flipped_with_their_images():
    images = stacks((64, 64))
    targets = [Stack(2 * images[0].data + 1, "YX", 2)]
    crops = sampler(images, targets)
    for found in (crops.batch(20, np.random.default_rng(0)), crops.validation()):
        np.testing.assert_allclose(found.target, 2 * found.noisy + 1)
        assert found.weight is None


def test_filled_pixels_have_no_weight():
    data = np.arange(64.0 * 64).reshape(64, 64)
    data[10:20, 30:40] = np.nan
    crops = sampler([FilledStack(data, "YX", 2, "missing")], crop=32)
    batch = crops.batch(30, np.random.default_rng(0))
    assert np.isfinite(batch.noisy).all()
    assert batch.weight is not None
    assert set(np.unique(batch.weight).tolist()) == {0.0, 1.0}
    # What has weight is as it was measured: each pixel of the image is its own number.
    measured = batch.noisy[batch.weight == 1].tolist()
    assert set(measured) <= set(data[np.isfinite(data)].tolist())


def test_a_filled_target_has_no_weight_either():
    images, hole = stacks((64, 64)), np.ones((64, 64))
    hole[:, 20:30] = np.nan
    crops = sampler(images, [FilledStack(hole, "YX", 2, "missing")], crop=32)
    batch = crops.batch(10, np.random.default_rng(0))
    assert (batch.weight == 0).any()


@pytest.mark.parametrize(
    ("kind", "targets", "words"),
    [
        ("none", [Image(np.ones((9, 9)), "YX")], "from noisy images alone"),
        ("clean", [], "a clean image of each scene .* 1 images and 0 targets"),
        ("noisy", [], "a second noisy image of each scene"),
        (
            "clean",
            [Image(np.ones((9, 8)), "YX", "b")],
            r"b has axes YX and shape \(9, 8",
        ),
        ("clean", [Image(np.ones((9, 9)), "XY", "b")], "b has axes XY"),
    ],
)
def test_targets_that_do_not_fit_are_refused(kind, targets, words):
    with pytest.raises(BadInputError, match=words):
        pairs_of([Image(np.ones((9, 9)), "YX", "a")], targets, kind, 2, "nothing")


@pytest.mark.parametrize("symmetries", [(), (0,), (0, 1)])
@pytest.mark.parametrize("masked", [False, True])
def test_crops_cut_on_a_device_are_those_cut_on_the_host(symmetries, masked):
    """Also of images of several sizes, with targets and missing pixels."""
    images, targets = stacks((80, 96), (2, 64, 48)), stacks((80, 96), (2, 64, 48))
    if masked:
        images[0].data[5:9, 20:30] = np.nan
        images[0] = FilledStack(images[0].data, "YX", 2, "missing")
    crops = sampler(images, targets, symmetries=symmetries)
    cpu = torch.device("cpu")
    for seed in range(5):
        one, other = (
            cut(crops, cpu).draw(7, np.random.default_rng(seed))
            for cut in (CutOnHost, CutOnDevice)
        )
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.target, other.target)
        if one.weight is not None:  # without, no crop has a missing pixel
            assert torch.equal(one.weight, other.weight)
        assert (other.weight is not None) is masked
