import itertools

import pytest
import torch

from helpers import build
from napari_cosdd.methods.blind_spot import neighbours, steps_around
from napari_cosdd.methods.n2v import Noise2VoidConfig
from napari_cosdd.noise_analysis.facts import NoiseFacts


@pytest.mark.parametrize(("axis", "dim"), [("x", 3), ("y", 2)])
def test_line_masks_hide_neighbours_along_the_axis_only(axis, dim):
    method = build("n2v", noise_axis=axis, receptive_field=3, masked=0.001)
    x = torch.zeros(4, 1, 64, 64)
    targets, hidden = method._mask(x, torch.Generator().manual_seed(0))
    assert targets.any()
    n, c, row, column = torch.nonzero(targets)[0].tolist()
    for offset in range(-3, 4):
        where = [n, c, row, column]
        where[dim] += offset
        if 0 <= where[dim] < 64:
            assert hidden[tuple(where)]
    assert 6 <= int(hidden.sum()) / int(targets.sum()) <= 7.01


@pytest.mark.parametrize(
    ("mask", "n_hidden"), [("square", 25), ("cross", 9), ("line", 1)]
)
def test_crosses_and_squares_hide_along_both_axes(mask, n_hidden):
    method = build("n2v", noise_axis="none", mask_shape=mask, receptive_field=2)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 1, 64, 64, generator=generator)
    targets, hidden = method._mask(x, generator)
    alone = torch.zeros(1, 1, 64, 64)
    for _, _, i, j in targets.nonzero().tolist():
        for k, m in itertools.product(range(-2, 3), repeat=2):
            inside = {"square": True, "cross": k == 0 or m == 0}
            if inside.get(mask, k == m == 0) and 0 <= i + k < 64 and 0 <= j + m < 64:
                alone[0, 0, i + k, j + m] = 1
    assert torch.equal(hidden, alone > 0)
    assert hidden.sum() > (n_hidden - 1) * targets.sum() / 2
    steps = method._steps(x)
    if mask != "line":  # past the other end of what is hidden
        assert all(max(map(abs, step)) == 5 for step in steps)
        line = build("n2v", ndim=1, noise_axis="none", mask_shape=mask)
        assert all(
            len(step) == 1 and step[0] for step in line._steps(torch.zeros(1, 1, 64))
        )


def test_point_masks_hide_the_target_only():
    method = build("n2v", noise_axis="none", masked=0.05)
    targets, hidden = method._mask(
        torch.zeros(2, 1, 32, 32), torch.Generator().manual_seed(0)
    )
    assert torch.equal(targets, hidden)


def test_whole_lines_can_be_masked():
    method = build("n2v", noise_axis="x", receptive_field=1000)
    x = torch.zeros(4, 1, 32, 32)
    targets, hidden = method._mask(x, torch.Generator().manual_seed(0))
    lines = targets.any(3, keepdim=True).expand_as(hidden)
    assert torch.equal(hidden, lines)


@pytest.mark.parametrize("noise_axis", ["none", "x"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_replacements_are_near_and_not_from_the_hidden_line(ndim, noise_axis):
    size = (7, 8, 9)[3 - ndim :]
    x = torch.arange(float(torch.tensor(size).prod())).reshape(1, 1, *size)
    method = build("n2v", ndim, noise_axis=noise_axis, receptive_field=1)
    many = x.expand(50, *x.shape[1:])  # as many draws
    picked = neighbours(many, method._steps(x), torch.Generator().manual_seed(0))
    assert (picked != x).all()
    where = torch.stack(torch.unravel_index(picked.long(), size))
    own = torch.stack(torch.unravel_index(x.long(), size))
    away = (where - own).abs()
    assert int(away.max()) <= 4
    if noise_axis == "x" and ndim > 1:
        assert (away[:-1].sum(0) > 0).all()


@pytest.mark.parametrize(("ndim", "mask"), [(2, "square"), (2, "cross"), (1, "line")])
def test_values_for_hidden_pixels_come_from_beyond_a_wide_mask(ndim, mask):
    size = (64,) * ndim
    settings = {"noise_axis": "x", "mask_shape": mask, "receptive_field": 25}
    method = build("n2v", ndim, **settings)
    x = torch.arange(float(torch.tensor(size).prod())).reshape(1, 1, *size)
    reach = max(max(box) for box in method._reaches(x))
    assert reach == 15  # half a crop, and no more
    picked = neighbours(x, method._steps(x), torch.Generator().manual_seed(0))
    where = torch.stack(torch.unravel_index(picked.long(), size))
    own = torch.stack(torch.unravel_index(x.long(), size))
    assert int((where - own).abs().amax(0).min()) > 2 * reach


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_no_pixel_of_a_shallow_volume_is_its_own_neighbour(depth):
    x = torch.arange(float(depth * 12 * 12)).reshape(1, 1, depth, 12, 12)
    many = x.expand(50, *x.shape[1:])
    steps = steps_around(3)
    assert (neighbours(many, steps, torch.Generator().manual_seed(0)) != x).all()


def test_at_least_one_pixel_is_a_target():
    method = build("n2v", noise_axis="x", receptive_field=30)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        targets, _ = method._mask(torch.zeros(1, 1, 8, 8), generator)
        assert targets.any()


def test_the_prediction_of_a_target_cannot_see_it():
    """Changing a hidden pixel must not change what the network is given."""
    method = build("n2v", noise_axis="none", masked=0.2)
    x = torch.randn(1, 1, 32, 32)
    targets, hidden = method._mask(x, torch.Generator().manual_seed(5))
    blind = torch.where(hidden, torch.zeros_like(x), x)
    other = torch.where(hidden, torch.zeros_like(x), x + 100 * targets)
    assert torch.equal(blind, other)


def test_the_receptive_field_is_the_mask_and_the_papers_four_pixels_unless_given():
    facts = NoiseFacts("one axis", "x", 7, 17, True, "")
    assert Noise2VoidConfig().resolved(facts).receptive_field == 4
    assert build("n2v", noise_axis="x", receptive_field=3).noise_reach == 3
    measured = Noise2VoidConfig(receptive_field=None).resolved(facts)
    assert measured.receptive_field == 7
    assert measured.noise_axis == "x"


def test_settings_of_earlier_releases_say_the_mask_by_its_former_name():
    old = {"noise_axis": "x", "receptive_field": 40, "half_length": 4}
    assert Noise2VoidConfig.model_validate(old).receptive_field == 4
    with pytest.warns(FutureWarning, match="'receptive_field' now"):
        assert Noise2VoidConfig.from_values({"half_length": 9}).receptive_field == 9
