import pytest
import torch

from helpers import awaken
from napari_cosdd.nets.blocks import channels_last, upsample, weights_channels_last
from napari_cosdd.nets.ladder_vae import LadderVAE


def ladder(ndim=2, stem_stride=2, n_levels=3, every=1):
    torch.manual_seed(0)
    return awaken(
        LadderVAE(
            ndim,
            1,
            n_channels=6,
            n_latents=3,
            n_code=5,
            n_levels=n_levels,
            n_blocks=1,
            n_blocks_up=1,
            stem_stride=stem_stride,
            downsample_every=every,
        )
    )


def normal(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda level, shape: torch.randn(shape, generator=generator)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_shapes_in_every_dimension(ndim, stem_stride):
    net = ladder(ndim, stem_stride)
    size = (8, 16, 24)[3 - ndim :]
    x = torch.randn(2, 1, *size)
    latents = net.sample_posterior(net.encode(x), normal(0))
    assert latents.code.shape == (2, 5, *size)
    sides = [tuple(s // m for s in size) for m in net.level_strides]
    if ndim == 3:  # z is never halved
        sides = [(size[0], *side[1:]) for side in sides]
    assert [kl.shape for kl in latents.kl] == [(2, *side) for side in sides]
    assert all((kl >= 0).all() for kl in latents.kl)
    assert net.sample_prior(2, size, normal(0)).code.shape == (2, 5, *size)


def test_z_of_a_stack_is_never_halved():
    assert ladder(3).multiple == (1, 8, 8)
    assert ladder(2, stem_stride=1, n_levels=6, every=2).multiple == (4, 4)


def test_levels_are_numbered_from_the_bottom():
    net, seen = ladder(), {}

    def noise(level, shape):
        seen[level] = shape[-1]
        return torch.zeros(shape)

    net.sample_posterior(net.encode(torch.randn(1, 1, 16, 32)), noise)
    assert seen == {0: 16, 1: 8, 2: 4}


def test_samples_differ_and_follow_the_noise():
    net = ladder()
    features = net.encode(torch.randn(1, 1, 16, 16))
    a, b = (net.sample_posterior(features, normal(s)).code for s in (0, 1))
    again = net.sample_posterior(features, normal(0)).code
    assert torch.equal(a, again)
    assert not torch.allclose(a, b)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_doubling_begins_as_a_repetition_of_pixels(ndim):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *(4,) * ndim)
    doubled = upsample(ndim, 3, 5)(x)
    repeats = (1, 2, 2) if ndim == 3 else (2,) * ndim
    thinned = doubled[(..., *(slice(None, None, r) for r in repeats))]
    for axis, repeat in enumerate(repeats, start=2):
        thinned = thinned.repeat_interleave(repeat, axis)
    torch.testing.assert_close(doubled, thinned)


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize(
    ("ndim", "innermost"), [(2, torch.channels_last), (3, torch.channels_last_3d)]
)
def test_an_image_of_one_channel_keeps_channels_innermost(ndim, innermost, stem_stride):
    """Torch takes a lone channel for outermost, and all that follows, slowly."""
    net = ladder(ndim, stem_stride)
    weights_channels_last(net)
    features = net.bottom_up[0](
        net.stem(channels_last(torch.randn(1, 1, *[16] * ndim)))
    )
    assert features.is_contiguous(memory_format=innermost)


@pytest.mark.parametrize("blind", [1, 2])
def test_blind_levels_see_nothing_of_the_image_but_through_those_above(blind):
    """By gradient: their features do not depend on the image."""
    vae = ladder()
    vae.blind_levels = blind
    x = torch.randn(1, 1, 32, 32, requires_grad=True)
    features = vae.encode(x)
    for level, feature in enumerate(features):
        if level < blind:
            assert not feature.requires_grad or not any(
                g is not None and g.abs().sum()
                for g in torch.autograd.grad(feature.sum(), x, allow_unused=True)
            )
        else:
            (gradient,) = torch.autograd.grad(
                feature.square().sum(), x, retain_graph=True
            )
            assert gradient.abs().sum() > 0


def test_blind_levels_draw_in_training_and_take_their_mean_in_samples():
    vae = ladder()
    vae.blind_levels = 2
    features = vae.encode(torch.randn(1, 1, 32, 32))
    drawn = []

    def noise(level, shape):
        drawn.append(level)
        return torch.randn(shape)

    vae.sample_posterior(features, noise)
    assert drawn == [2, 1, 0]
    drawn.clear()
    vae.sample_posterior(features, noise, with_kl=False)
    assert drawn == [2]
