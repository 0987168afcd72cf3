import pytest
import torch

from helpers import awaken
from napari_cosdd.nets.ancestral import sample_decoder
from napari_cosdd.nets.autoregressive import (
    AutoregressiveDecoder,
    covered,
    dilations,
)


def decoder(ndim, axis, n_channels=1, receptive_field=7):
    torch.manual_seed(0)
    return awaken(
        AutoregressiveDecoder(
            ndim,
            axis,
            n_channels,
            n_code=3,
            n_channels=4,
            n_layers=3,
            n_components=2,
            receptive_field=receptive_field,
        )
    ).double()


@pytest.mark.parametrize("wanted", [0, 1, 2, 3, 5, 9, 10, 17, 27, 40, 81])
def test_layers_cover_what_was_asked_without_holes(wanted):
    layers = dilations(wanted, 4)
    assert covered(layers) >= wanted
    if wanted > 2:
        assert covered(layers) <= wanted + 4
    reach = {0}
    for dilation in layers:
        reach = {r + t * dilation for r in reach for t in range(3 if dilation else 1)}
    assert not wanted or reach == set(range(covered(layers)))


def test_too_far_for_the_layers_is_refused():
    with pytest.raises(ValueError, match="at most 9 pixels, not 10"):
        dilations(10, 2)


@pytest.mark.parametrize(
    ("ndim", "axis"), [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
)
def test_causal_along_the_axis_and_blind_across_it(ndim, axis):
    net = decoder(ndim, axis, receptive_field=5)
    size = (9, 10, 12)[:ndim]
    x = torch.randn(1, 1, *size, dtype=torch.double, requires_grad=True)
    code = torch.randn(1, 3, *size, dtype=torch.double)
    at = tuple(s // 2 + 1 for s in size)
    location, parameters = net(x, code)
    shape = (1, 1, *size)
    outputs = net.unrows(parameters.flatten(1, 3), (1, 6, *size))
    target = outputs[(0, slice(None), *at)].sum()
    target = target + net.unrows(location, shape)[(0, 0, *at)]
    (gradient,) = torch.autograd.grad(target, x)
    seen = torch.nonzero(gradient[0, 0]).tolist()
    expected = []
    for back in range(net.receptive_field, 0, -1):
        where = list(at)
        where[axis] -= back
        if where[axis] >= 0:
            expected.append(where)
    assert seen == expected


def test_no_axis_sees_no_pixel_at_all():
    net = decoder(2, None)
    x = torch.randn(1, 1, 6, 6, dtype=torch.double, requires_grad=True)
    code = torch.randn(1, 3, 6, 6, dtype=torch.double)
    _, parameters = net(x, code)
    (gradient,) = torch.autograd.grad(parameters.sum(), x, allow_unused=True)
    assert net.receptive_field == 0
    assert gradient is None or not gradient.any()


def test_channels_of_the_image_are_kept_apart():
    net = decoder(2, 1, n_channels=2)
    x = torch.randn(1, 2, 4, 12, dtype=torch.double, requires_grad=True)
    code = torch.randn(1, 3, 4, 12, dtype=torch.double)
    _, parameters = net(x, code)
    (gradient,) = torch.autograd.grad(parameters[:, 0].sum(), x)
    assert gradient[:, 0].any()
    assert not gradient[:, 1].any()


@pytest.mark.parametrize(
    ("ndim", "axis", "channels", "field"),
    [(2, 0, 1, 7), (2, 1, 3, 7), (3, 1, 2, 3), (2, 1, 1, 1), (2, None, 2, 7)],
)
def test_cached_sampling_follows_the_density_column_by_column(
    ndim, axis, channels, field
):
    """Feeding a sample back into the network must reproduce its own parameters."""
    net = decoder(ndim, axis, channels, field)
    size = (5, 6, 8)[3 - ndim :]
    code = torch.randn(2, 3, *size, dtype=torch.double)
    with torch.no_grad():
        net.head.bias.view(channels, 3, 2)[:, 2] = -40.0  # scales at their floor
        net.head.weight.view(channels, 3, 2, -1)[:, 2] = 0.0
        x = sample_decoder(net, code, 1e-9, torch.Generator().manual_seed(0))
        location, parameters = net(x, code)
    modes = location.unsqueeze(2) + parameters[:, :, 1]
    nearest = (modes - net.rows(x).unsqueeze(2)).abs().amin(2)
    assert x.shape == (2, channels, *size)
    assert float(nearest.max()) < 1e-5


def test_rows_are_undone_exactly():
    for ndim, axis in [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (2, None)]:
        net = decoder(ndim, axis)
        h = torch.randn(2, 3, *(4, 5, 6)[:ndim])
        assert torch.equal(net.unrows(net.rows(h), h.shape), h)
