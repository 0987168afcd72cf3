import numpy as np
import pytest
from scipy import ndimage

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.point_spread import from_beads, from_optics, from_sigma


def beads(width, rng, *, noise=2.0, side=160, step=36):
    clean = np.zeros((side, side))
    places = np.arange(step // 2, side - 10, step)
    for y in places:
        for x in places:
            dy, dx = rng.uniform(-0.5, 0.5, 2)
            yy, xx = np.mgrid[:side, :side]
            around = (yy - y - dy) ** 2 + (xx - x - dx) ** 2
            clean += rng.uniform(80, 200) * np.exp(-around / (2 * width**2))
    return 100 + clean + rng.normal(0, noise, clean.shape)


@pytest.mark.parametrize("width", [0.8, 1.4, 2.5])
def test_beads_give_the_width_that_drew_them(width):
    image = beads(width, np.random.default_rng(0))
    assert from_beads(image) == pytest.approx(width, rel=0.03)


def test_the_size_of_the_beads_is_taken_out():
    """A disc that is the projection of a ball, blurred by a known Gaussian."""
    yy, xx = np.mgrid[:129, :129] / 3.0
    ball = np.sqrt(np.clip(2.0**2 - (yy - 64 / 3) ** 2 - (xx - 64 / 3) ** 2, 0, None))
    blurred = ndimage.gaussian_filter(ball, 3 * 1.5)[::3, ::3]
    wide = from_beads(blurred)
    assert wide > 1.6
    assert from_beads(blurred, diameter=4.0) == pytest.approx(1.5, rel=0.03)


def test_the_optics_give_the_width_of_the_gaussian():
    assert from_sigma(100, 50) == 2
    for sigma, pixel_size in ((100, 0), (-100, 50), (float("nan"), 50)):
        with pytest.raises(BadInputError, match="a positive deviation and pixel size"):
            from_sigma(sigma, pixel_size)
    assert from_optics(1.4, 520, 65) == pytest.approx(0.21 * 520 / 1.4 / 65)
    confocal = from_optics(1.4, 520, 65, excitation=520)
    assert confocal == pytest.approx(from_optics(1.4, 520, 65) / 2**0.5)


def test_an_airy_pattern_is_near_the_gaussian_of_the_optics():
    """The fit to the true pattern of a lens has the width of the formula within 5 %."""
    from scipy.special import j1

    yy, xx = np.mgrid[-40:41, -40:41]
    v = 2 * np.pi * 1.0 / 600 * 50 * np.hypot(yy, xx) + 1e-9  # NA 1, 600 nm, 50 nm
    pattern = (2 * j1(v) / v) ** 2
    assert from_beads(pattern) == pytest.approx(from_optics(1.0, 600, 50), rel=0.05)


@pytest.mark.parametrize(
    "numbers", [(0, 520, 65), (1.4, -1, 65), (1.4, 520, float("nan")), (14, 520, 65)]
)
def test_impossible_optics_are_refused(numbers):
    with pytest.raises(BadInputError):
        from_optics(*numbers)


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.ones((8, 8)), None])
def test_images_without_beads_are_refused(image):
    if image is None:
        image = np.random.default_rng(0).normal(100, 5, (128, 128))
    with pytest.raises(BadInputError, match="no bead"):
        from_beads(image)


def test_a_flat_disc_without_noise_is_no_bead():
    y, x = np.indices((128, 128))
    image = np.where((y - 64) ** 2 + (x - 64) ** 2 < 30**2, 100.0, 0.0)
    with pytest.raises(BadInputError, match="no bead"):
        from_beads(image)


def test_a_stack_is_refused():
    with pytest.raises(BadInputError, match="plane"):
        from_beads(np.zeros((3, 64, 64)))
