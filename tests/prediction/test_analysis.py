"""The second look at the noise of images without a flat place."""

import numpy as np
import pytest

from napari_cosdd.datasets.simulate import ar1
from napari_cosdd.images.stack import Stack
from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.noise_analysis.report import report
from napari_cosdd.noise_analysis.second_look import averaged, facts_of_second_look
from napari_cosdd.prediction.analysis import noise_report

SIDE = 256


def rng():
    return np.random.default_rng(1)


def filaments():
    """Straight lines in every direction, 0 to 1: no place shows noise alone."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    drawn = np.zeros((SIDE, SIDE))
    for _ in range(60):
        angle, (cy, cx) = random.uniform(0, np.pi), random.uniform(0, SIDE, 2)
        distance = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        drawn += random.uniform(0.4, 1) * np.exp(-(distance**2) / (2 * 1.3**2))
    return (drawn / drawn.max()).astype(np.float32)


def under(noise, level=40):
    return Stack((1000 * filaments() + level * noise).astype(np.float32), "YX", 2)


def rows():
    return ar1((SIDE, SIDE), 0.2, rng())


def white():
    return rng().normal(size=(SIDE, SIDE))


@pytest.mark.parametrize(
    ("stack", "before", "after", "axis"),
    [
        (lambda: under(rows(), 60), "both axes", "one axis", "x"),
        (
            lambda: under(white(), 50),
            "unclear",
            "independent",
            "none",
        ),
        (lambda: under(rows().T), "independent", "unclear", "none"),  # it is y
    ],
)
def test_a_first_denoising_tells_what_structure_hides(stack, before, after, axis):
    first, second = report(stack()), noise_report(stack())
    assert first.facts.pattern == before
    assert second.residual is not None
    assert (second.facts.pattern, second.facts.axis) == (after, axis)
    words = "It cannot be told" if after == "unclear" else "a first denoising tells"
    assert words in second.facts.sentence


def test_structure_of_the_shape_of_the_noise_is_no_proof_of_an_axis():
    noise = ar1((SIDE, SIDE), 0.4, rng())
    facts = noise_report(under(noise)).facts  # weaker noise under the same lines
    assert (facts.pattern, facts.safe_axis) == ("both axes", "none")


def test_a_clear_image_is_not_denoised():
    found = noise_report(Stack(ar1((SIDE, SIDE), 0.6, rng()), "YX", 2))
    assert found.residual is None


def test_a_selected_part_is_left_to_the_first_look():
    stack = under(rows())
    mask = np.ones((SIDE, SIDE), bool)
    mask[:10] = False
    part = Stack(stack.data, "YX", 2, selection=mask)
    assert noise_report(part).facts == report(part).facts


def test_small_images_are_looked_at_too():
    stack = Stack(under(rows()).data[:20, :30], "YX", 2)
    assert noise_report(stack).residual is not None


def profile(x, y):
    """Return an autocorrelation with these values at lags 1, 2, ... of each axis."""
    n = 6
    values = np.zeros((2 * n + 1, 2 * n + 1))
    values[n, n] = 1
    for lag, (a, b) in enumerate(zip(x, y, strict=True), start=1):
        values[n, n + lag] = values[n, n - lag] = a
        values[n + lag, n] = values[n - lag, n] = b
    return Autocorrelation(values, 10**5)


FLAT = profile((0, 0), (0, 0))


@pytest.mark.parametrize(
    ("x", "y", "pattern", "axis"),
    [
        ((-0.13, -0.03), (-0.13, -0.02), "independent", "none"),
        ((0.40, 0.20), (-0.34, 0.00), "one axis", "x"),
        ((-0.18, -0.02), (0.03, 0.00), "one axis", "y"),
        ((-0.30, 0.06), (-0.04, -0.01), "one axis", "x"),  # negative along rows
        ((-0.20, 0.00), (0.00, 0.03), "one axis", "y"),
        ((0.41, 0.16), (0.40, 0.18), "unclear", "none"),  # structure is left
        ((0.54, 0.26), (0.38, 0.24), "unclear", "none"),
        ((-0.10, -0.02), (-0.04, -0.02), "unclear", "none"),  # hardly different
    ],
)
def test_the_residual_decides_only_where_it_is_clear(x, y, pattern, axis):
    first = NoiseFacts("unclear", "none", 0, 0, False, "")
    found = facts_of_second_look(first, FLAT, profile(x, y))
    assert (found.pattern, found.axis) == (pattern, axis)
    assert found.pattern == "unclear" or "first denoising" in found.sentence


def test_both_axes_are_doubted_only_by_a_residual_with_one():
    first = NoiseFacts("both axes", "x", 3, 9, False, "", grid=4)
    for alike in (profile((-0.17, -0.07), (-0.19, -0.08)), profile((0, 0), (0, 0))):
        assert facts_of_second_look(first, FLAT, alike) is first
    rows = profile((0.40, 0.20), (-0.34, 0.00))
    assert facts_of_second_look(first, FLAT, rows).pattern == "one axis"


@pytest.mark.parametrize(("axis", "pattern"), [("x", "unclear"), ("y", "one axis")])
def test_clear_facts_become_unclear_if_the_residual_contradicts(axis, pattern):
    first = NoiseFacts("one axis", "y", 3, 9, True, "")
    alike = profile((-0.34, 0.00), (0.40, 0.20))
    residual = alike if axis == "y" else profile((0.40, 0.20), (-0.34, 0.00))
    assert facts_of_second_look(first, FLAT, residual).pattern == pattern


def test_blurred_rows_are_no_negative_columns():
    first = NoiseFacts("unclear", "none", 0, 0, False, "")
    blurred = profile((0.45, -0.06), (-0.05, -0.01))
    assert facts_of_second_look(first, FLAT, blurred).axis == "x"


def test_the_bias_of_a_network_along_its_axis_cancels():
    upright, turned = profile((0.1, 0), (-0.1, 0)), profile((-0.1, 0), (0.1, 0))
    mean = averaged(upright, turned)
    np.testing.assert_allclose(mean.along_x, mean.along_y)
