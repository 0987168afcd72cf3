"""The width of the point spread function, from the optics or from images of beads.

DecoNoising takes the deviation of a Gaussian in pixels. Zhang et al., "Gaussian
approximations of fluorescence microscope point-spread function models", Applied Optics
46 (2007), give the Gaussian nearest to the pattern of a lens.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from napari_cosdd.errors import BadInputError

#: Deviation of the Gaussian nearest to the wide-field pattern, in wavelengths / NA.
WIDE_FIELD = 0.21
#: Half-width of the window around a bead, pixels.
WINDOW = 8
#: Largest number of beads that are measured.
BEADS = 50
#: Deviations above the background from which a spot counts as a bead.
CLEAR = 8.0


def from_optics(
    aperture: float,
    wavelength: float,
    pixel_size: float,
    excitation: float | None = None,
) -> float:
    """Return the deviation of the point spread function in the focal plane, pixels.

    Parameters
    ----------
    aperture : float
        Numerical aperture.
    wavelength : float
        Emission wavelength, in the unit of the pixel size.
    pixel_size : float
        Side of a pixel in the sample.
    excitation : float, optional
        Excitation wavelength of a confocal microscope with a small pinhole, whose
        point spread function is the product of both patterns. None: wide field.

    Raises
    ------
    BadInputError
        If a number is not positive, or the aperture is above 1.7.
    """
    given = (aperture, wavelength, pixel_size, excitation)
    if any(not (math.isfinite(n) and n > 0) for n in given if n is not None):
        raise BadInputError(
            "expected a positive aperture, wavelength and pixel size, got "
            f"{aperture:g}, {wavelength:g} and {pixel_size:g}"
        )
    if aperture > 1.7:
        raise BadInputError(
            f"a numerical aperture of {aperture:g} is beyond any lens; give the number "
            "on the objective, such as 1.4"
        )
    emitted = WIDE_FIELD * wavelength / aperture
    if excitation is None:
        return emitted / pixel_size
    excited = WIDE_FIELD * excitation / aperture
    return 1 / math.hypot(1 / emitted, 1 / excited) / pixel_size


def from_sigma(sigma: float, pixel_size: float) -> float:
    """Return a known deviation of the point spread function, pixels.

    Parameters
    ----------
    sigma, pixel_size : float
        Both in the same unit.

    Raises
    ------
    BadInputError
        If a number is not positive.
    """
    if not all(math.isfinite(n) and n > 0 for n in (sigma, pixel_size)):
        raise BadInputError(
            f"expected a positive deviation and pixel size, got {sigma:g} and "
            f"{pixel_size:g}"
        )
    return sigma / pixel_size


def from_beads(image: NDArray[Any], diameter: float = 0.0) -> float:
    """Return the deviation of the point spread function, pixels: median over beads.

    A Gaussian with an offset is fitted to each bright, well separated spot. The
    variance of a ball, its diameter squared / 20, is subtracted.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Image of beads, in focus.
    diameter : float
        Diameter of the beads, pixels.

    Raises
    ------
    BadInputError
        If the image is no plane, or shows no clear bead away from its border.
    """
    if image.ndim != 2:
        raise BadInputError(
            f"expected a plane (y, x) with beads in focus, got {image.ndim} axes"
        )
    pixels = np.asarray(image, np.float64)
    pixels = np.where(np.isfinite(pixels), pixels, np.nanmedian(pixels))
    widths = [_width(pixels, y, x) for y, x in _spots(pixels)]
    found = [width for width in widths if width is not None]
    if not found:
        raise BadInputError(
            "no bead was found: expected single bright spots on a dark background, "
            f"at least {2 * WINDOW} pixels apart and {WINDOW} from the border"
        )
    variance = float(np.median(found)) ** 2 - diameter**2 / 20
    if variance <= 0:
        raise BadInputError(
            f"the spots are smaller than beads of {diameter:.3g} pixels can look"
        )
    return math.sqrt(variance)


def _spots(pixels: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the places of clear spots without another one near, brightest first."""
    smooth = ndimage.gaussian_filter(pixels, 1.0)
    background = float(np.median(smooth))
    spread = 1.4826 * float(np.median(np.abs(smooth - background)))
    highest = smooth == ndimage.maximum_filter(smooth, 2 * WINDOW + 1)
    clear = smooth > background + CLEAR * max(spread, 1e-12)
    inner = np.zeros(pixels.shape, bool)
    inner[WINDOW:-WINDOW, WINDOW:-WINDOW] = True
    places = np.argwhere(highest & clear & inner)
    order = np.argsort([-smooth[y, x] for y, x in places])
    return [(int(y), int(x)) for y, x in places[order[:BEADS]]]


def _width(pixels: NDArray[np.float64], y: int, x: int) -> float | None:
    """Return the deviation of the Gaussian fitted around a place; None: no good fit."""
    part = pixels[y - WINDOW : y + WINDOW + 1, x - WINDOW : x + WINDOW + 1]
    along = np.arange(-WINDOW, WINDOW + 1)
    low, high = np.median(part), part.max()
    if not (scale := high - low) > 0:
        return None

    def errors(given: NDArray[np.float64]) -> NDArray[np.float64]:
        offset, height, dy, dx, width = given
        down = np.exp(-((along - dy) ** 2) / (2 * width**2))
        across = np.exp(-((along - dx) ** 2) / (2 * width**2))
        return ((offset + height * np.outer(down, across) - part) / scale).ravel()

    fit = optimize.least_squares(
        errors,
        (low, scale, 0.0, 0.0, 1.5),
        bounds=(
            (-np.inf, 0, -2, -2, 0.3),
            (np.inf, np.inf, 2, 2, WINDOW),
        ),
        x_scale=(scale, scale, 1, 1, 1),
    )
    unexplained = np.var(fit.fun) / np.var(part / scale)
    width = float(fit.x[4])
    good = fit.success and unexplained < 0.3 and 0.31 < width < 0.6 * WINDOW
    return width if good else None
