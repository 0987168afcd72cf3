from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from helpers import SHARED
from napari_cosdd import api
from napari_cosdd.datasets.samples import nuclei
from napari_cosdd.datasets.simulate import ar1, cells, gaussian_field, stripes
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.outliers import without_outliers
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.advice import advise, headline
from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation, autocorrelation
from napari_cosdd.noise_analysis.facts import facts_of
from napari_cosdd.noise_analysis.report import report
from napari_cosdd.noise_analysis.signal_dependence import (
    variance_of_image,
    variance_of_residual,
)
from napari_cosdd.noise_analysis.sources import flat_patches, frame_differences


def rng():
    return np.random.default_rng(0)


def test_the_noise_of_a_part_whose_large_patches_are_all_structure_is_found():
    part = np.asarray(nuclei().data)[256:512, :256]
    assert api.analyze(part).facts.axis == "x"


def test_an_image_without_noise_is_told_apart_from_a_constant_one():
    smooth = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(64, 64)), 4)
    with pytest.raises(BadInputError, match="no noise can be told"):
        autocorrelation([smooth], 5, remove_signal=True)
    with pytest.raises(BadInputError, match="constant"):
        autocorrelation([np.ones((64, 64))], 5, remove_signal=True)


def test_agrees_with_the_definition():
    x = rng().normal(size=(40, 50))
    x[:, 1:] += 0.6 * x[:, :-1]
    found = autocorrelation([x], 5).values
    centred = x - x.mean()
    for dy, dx in [(0, 1), (3, 0), (2, 4), (1, -3)]:
        a = centred[: 40 - dy, max(0, -dx) : 50 - max(0, dx)]
        b = centred[dy:, max(0, dx) : 50 + min(0, dx)]
        assert found[5 + dy, 5 + dx] == pytest.approx((a * b).mean() / centred.var())
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-12)


def test_ar1_is_measured_and_its_error_is_honest():
    values = [autocorrelation([ar1((128, 128), 0.8, rng_)], 12) for rng_ in _rngs(30)]
    profile = np.array([v.along_x for v in values])
    np.testing.assert_allclose(profile.mean(0)[:6], 0.8 ** np.arange(6), atol=0.03)
    across = np.array([v.along_y[2] for v in values])
    assert 0.5 < across.std() / np.mean([v.standard_error for v in values]) < 1.6


def _rngs(n):
    return [np.random.default_rng(i) for i in range(n)]


@pytest.mark.parametrize("transpose", [False, True])
def test_smooth_signal_is_taken_off(transpose):
    noise = ar1((256, 256), 0.6, rng())
    y, x = np.mgrid[:256, :256] / 30
    image = noise + 3 * np.sin(y) * np.cos(x)
    if transpose:
        image = image.T
    raw = autocorrelation([image], 8)
    clean = autocorrelation([image], 8, remove_signal=True)
    along, across = clean.along_x, clean.along_y
    if transpose:
        along, across = across, along
    assert raw.along_y[1] > 0.5
    np.testing.assert_allclose(along[:5], 0.6 ** np.arange(5), atol=0.06)
    assert np.abs(across[1:]).max() < 0.05
    assert clean.standard_error > raw.standard_error / 2


@pytest.mark.parametrize(
    ("make", "axis"),
    [
        (lambda x: ar1(x.shape, 0.7, rng()), "x"),
        (lambda x: ar1(x.shape, 0.7, rng()).T, "y"),
        (lambda x: rng().normal(size=x.shape), "none"),
    ],
)
def test_facts_name_the_axis(make, axis):
    clean = cells((256, 256), rng(), n=15)
    facts = api.analyze(clean + 0.1 * make(clean)).facts
    assert facts.axis == axis
    assert facts.is_clear
    assert (facts.receptive_field == 0) is (axis == "none")


def test_noise_in_both_directions_does_not_fit():
    both = ar1((256, 256), 0.7, rng()) + ar1((256, 256), 0.7, _rngs(2)[1]).T
    facts = api.analyze(both, region=(slice(0, 256), slice(0, 256))).facts
    assert not facts.is_clear
    assert "both directions" in facts.sentence


def test_longer_noise_gets_a_longer_receptive_field():
    short, long = (
        api.analyze(ar1((300, 300), d, rng()), region=(slice(0, 300), slice(0, 300)))
        for d in (0.3, 0.93)
    )
    assert short.facts.receptive_field < long.facts.receptive_field


def test_the_real_nuclei_have_row_noise():
    found = api.analyze(nuclei())
    assert found.facts.axis == "x"
    assert found.correlation.along_x[1] == pytest.approx(0.62, abs=0.05)
    assert found.correlation.along_y[1] == pytest.approx(0.0, abs=0.05)
    assert found.dependence.grows


@pytest.mark.parametrize(
    ("file", "frames", "axis", "first"),
    [
        ("scmos-acsn/TIRF_200Hz_20x256x256.tif", True, "none", 0.01),
        ("twophoton-prairie/cycle002_53x260x348.tif", True, "x", 0.09),
        ("vesicles-3d/cell_3d_vesicles_33x160x250.tif", False, "x", 0.14),
        ("ccd-celegans/worms_7x520x696.tif", False, "x", -0.19),
        ("hela-cells/hela_3x512x672.tif", False, "x", 0.12),
        ("scanr-neubias/nuclei_tubulin_2x214x226.tif", False, "x", 0.63),
    ],
)
def test_other_cameras(file, frames, axis, first):
    if not SHARED.exists():
        pytest.skip("the shared images are not here")
    found = api.analyze(SHARED / file, frames=frames)
    assert found.facts.axis == axis
    assert found.correlation.along_x[1] == pytest.approx(first, abs=0.05)


def test_flat_patches_are_the_flat_ones():
    image = np.zeros((1, 128, 128)) + rng().normal(size=(1, 128, 128))
    image[0, :, 64:] += 20 * np.sin(np.arange(64) / 3)
    _, corners = flat_patches(image, 32)
    assert all(x + 32 <= 64 for _, _, x in corners)


def test_frame_differences_have_the_variance_of_one_frame():
    frames = 100 * rng().random((64, 64)) + rng().normal(0, 3, (20, 64, 64))
    assert frame_differences(frames).std() == pytest.approx(3, rel=0.05)
    with pytest.raises(BadInputError, match="two frames or more, got 1"):
        frame_differences(frames[:1])


def test_the_gain_of_a_detector_is_found():
    signal = np.linspace(100, 900, 512)[None].repeat(512, 0)
    image = 2.0 * rng().poisson(signal / 2.0)
    assert variance_of_image(image, "x").slope == pytest.approx(2.0, rel=0.1)
    found = variance_of_residual(signal, image - signal)
    assert found.slope == pytest.approx(2.0, rel=0.1)
    assert found.grows
    flat = variance_of_residual(signal, rng().normal(size=signal.shape))
    assert not flat.grows


def test_no_noise_and_too_little_of_it_are_named():
    with pytest.raises(BadInputError, match="constant"):
        api.analyze(np.ones((64, 64)))
    with pytest.raises(BadInputError, match="12 × 12 are the least"):
        api.analyze(rng().normal(size=(64, 64)), region=(slice(0, 5), slice(0, 64)))


def test_stripes_of_the_papers():
    clean = cells((256, 256), rng())
    found = api.analyze(stripes(clean, rng(), row=0.05))
    assert found.facts.axis == "x"


def test_signal_is_not_taken_for_correlated_noise():
    """White noise under smooth signal: a wrong axis must be rare."""
    axes = []
    for rng_ in _rngs(20):
        signal = gaussian_field((128, 128), 5.0, rng_)
        axes.append(api.analyze(3 * signal + rng_.normal(size=(128, 128))).facts.axis)
    assert axes.count("none") >= 18


def test_frames_and_estimate_are_of_the_same_images():
    """A long series: some frames stand for all, and the estimate's are those."""
    clean = np.arange(40.0)[:, None, None] * np.ones((40, 64, 64))
    noisy = clean + rng().normal(size=clean.shape)
    found = report(Stack(noisy, "TYX", 2), frames=True, estimate=Stack(clean, "TYX", 2))
    assert found.facts.axis == "none"
    assert float(np.median(found.dependence.variance)) == pytest.approx(1, rel=0.2)


def test_too_few_pixels_tell_nothing():
    """What cannot be seen is not denied."""
    found = autocorrelation([rng().normal(size=(12, 12))], 5, remove_signal=True)
    assert found.standard_error > 0.075
    facts = facts_of(found)
    assert not facts.is_clear
    assert "cannot be told" in facts.sentence


@pytest.mark.parametrize("size", [48, 96, 192, 256])
def test_a_smoothed_image_is_never_said_to_have_one_axis(size):
    """Noise that smoothing or registration correlated along both axes."""
    for one in _rngs(10):
        noise = ndimage.gaussian_filter(one.normal(size=(size, size)), 1.2)
        facts = api.analyze(1000 + 100 * noise).facts
        assert not facts.is_clear
        assert facts.safe_axis == "none"
        assert "COSDD fits" not in advise(facts)


def test_axes_that_differ_by_less_than_the_error_cannot_be_told_apart():
    values = np.zeros((11, 11))
    values[5, 5], values[5, 6], values[6, 5] = 1, 0.5, 0.2
    sure = Autocorrelation(values, 40_000)
    assert facts_of(sure).pattern == "one axis"
    unsure = replace(sure, n_pixels=120)
    assert facts_of(unsure).pattern == "unclear"
    assert facts_of(unsure).safe_axis == "none"


def test_the_sentence_shows_the_lags_that_decide():
    """Noise of lag 3 alone: lag 1 would show nothing."""
    values = np.zeros((17, 17))
    values[8, 8], values[8, 11] = 1, 0.31
    facts = facts_of(Autocorrelation(values, 40_000))
    assert facts.axis == "x"
    assert "0.00, 0.00, 0.31, 0.00, 0.00 at 1 to 5 px" in facts.sentence


def test_a_residual_with_signal_in_it_is_not_called_fine():
    noise = ar1((256, 256), 0.7, rng())
    fine = report(Stack(noise, "YX", 2), estimate=Stack(0 * noise, "YX", 2)).facts
    assert fine.is_clear
    assert "as noise of one axis does" in fine.sentence
    signal = 0.5 * gaussian_field((256, 256), 3, rng())
    mixed = report(Stack(noise + signal, "YX", 2), estimate=Stack(0 * noise, "YX", 2))
    assert not mixed.facts.is_clear
    assert "signal was removed, too" in mixed.facts.sentence


@pytest.mark.parametrize("region", [(0, 600, 0, 60), (5, 5, 0, 9), (-4, 30, 0, 30)])
def test_regions_beyond_the_image_are_refused(region):
    a, b, c, d = region
    box = (slice(a, b), slice(c, d))
    with pytest.raises(BadInputError, match="not inside the image of 64 × 64 pixels"):
        report(Stack(rng().normal(size=(64, 64)), "YX", 2), region=box)


@pytest.mark.parametrize("deviation", [0.5, 0.8, 0.9, 2.0])
def test_weak_noise_of_whole_grey_levels_has_its_variance(deviation):
    drawn = 100 + rng().normal(0, deviation, (512, 512))
    image = np.rint(drawn).astype(np.uint16)
    found = variance_of_image(image, "x")
    assert np.median(found.variance) == pytest.approx(image.var(), rel=0.1)


def test_the_gain_of_few_photons_is_found():
    signal = np.linspace(0, 3, 512)[None].repeat(512, 0)
    found = variance_of_image(rng().poisson(signal).astype(np.uint8), "x")
    assert found.slope == pytest.approx(1.0, abs=0.1)


def test_neighbouring_differences_share_a_frame():
    """The scatter of what is measured is the error that is stated."""
    seen, stated = [], []
    for seed in range(40):
        frames = np.random.default_rng(seed).normal(size=(3, 64, 64))
        found = report(Stack(frames, "TYX", 2), frames=True).correlation
        seen.append(found.along_x[1:6])
        stated.append(found.standard_error)
    assert np.std(seen) == pytest.approx(np.mean(stated), rel=0.15)


@pytest.mark.parametrize("height", [0, 100, 1000, 3000, 20_000, -400])
def test_a_hot_pixel_does_not_turn_the_advice_around(height):
    rng = np.random.default_rng(9)
    image = 500 + 8 * ar1((256, 256), 0.6, rng)
    image[100, 77] += height
    found = report(Stack(image, "YX", 2))
    assert found.facts.axis == "x"
    assert found.correlation.along_x[1] == pytest.approx(0.6, abs=0.05)
    assert found.n_outliers == (abs(height) > 100)
    assert ("1 pixel sticks out" in found.left_out) == (abs(height) > 100)


def test_noise_of_bright_places_photons_and_small_signal_is_no_outlier():
    rng = np.random.default_rng(0)
    bright = rng.normal(size=(128, 128)) * np.where(np.arange(128) < 64, 1, 30)
    photons = rng.poisson(0.05, (128, 128)).astype(float)
    y, x = np.mgrid[:128, :128]
    spot = 300 * np.exp(-((y - 60) ** 2 + (x - 60) ** 2) / 2) + rng.normal(size=y.shape)
    for plane in (bright, photons, spot):
        same, n, _ = without_outliers(plane)
        assert n == 0
        assert same is plane


def test_hot_and_dead_pixels_of_all_planes_are_replaced_by_their_neighbours():
    rng = np.random.default_rng(0)
    planes = rng.normal(100, 3, (2, 3, 64, 64)).astype(np.float32)
    clean = planes.copy()
    planes[0, 0, 5, 5], planes[1, 2, 60, 3:5] = 4000, 0
    found, n, _ = without_outliers(planes)
    assert n == 3
    assert np.abs(found - clean).max() < 20
    assert (planes != found).sum() == 3


def test_a_weak_correlation_is_named_but_not_modelled():
    values = np.zeros((17, 17))
    values[8, 8], values[8, 9], values[8, 7] = 1, 0.06, 0.06
    facts = facts_of(Autocorrelation(values, 10**6))
    assert (facts.pattern, facts.axis, facts.weak) == ("one axis", "x", True)
    assert facts.safe_axis == "none"
    assert "fits without a noise axis" in advise(facts)
    values[8, 10:13] = 0.06  # as weak, but far
    far = facts_of(Autocorrelation(values, 10**6))
    assert (far.weak, far.safe_axis) == (False, "x")


def test_offsets_of_lines_are_told_from_noise_that_falls_with_distance():
    rng = np.random.default_rng(0)
    white = rng.normal(0, 10, (6, 256, 256))
    offsets = white + 4 * rng.normal(size=(6, 256, 1))
    found = api.analyze(api.Image(100 + offsets, "TYX")).facts
    assert found.axis == "x"
    assert "offset of each row" in found.sentence
    assert headline(found).startswith("! Each row has an offset of its own")
    falling = ar1((6, 256, 256), 0.8, rng)
    found = api.analyze(api.Image(100 + 10 * falling, "TYX")).facts
    assert found.axis == "x"
    assert "offset" not in found.sentence


def test_small_flat_images_are_not_said_to_have_growing_noise():
    flat = (100 + np.random.default_rng(s).normal(0, 10, (40, 40)) for s in range(30))
    assert sum(variance_of_image(plane, None).grows for plane in flat) <= 1
    light = np.linspace(20, 200, 40)[None].repeat(40, 0)
    bright = (np.random.default_rng(s).poisson(light) * 1.0 for s in range(30))
    assert sum(variance_of_image(plane, None).grows for plane in bright) >= 29
