"""Scores of a denoised image against a reference."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_cosdd.errors import BadInputError

#: Side of the window of the structural similarity, pixels.
WINDOW = 7


class Scores(NamedTuple):
    """Scores of an image against a reference.

    Attributes
    ----------
    psnr : float
        Peak signal-to-noise ratio, dB; the peak is the reference's range.
    psnr_affine : float
        PSNR after fitting gain and offset of the image to the reference, so that
        errors of brightness and contrast do not count.
    ssim : float
        Structural similarity, at most 1.
    """

    psnr: float
    psnr_affine: float
    ssim: float


class Coverage(NamedTuple):
    """How often the truth lies within intervals of the posterior.

    Attributes
    ----------
    nominal, measured : ndarray, equal lengths
        Expected share of the truth within each interval if the posterior is right,
        and measured share; narrowest interval first.
    """

    nominal: NDArray[np.float64]
    measured: NDArray[np.float64]

    def at(self, nominal: float) -> float:
        """Return the measured share at a nominal one; NaN beyond the widest interval.

        The widest interval of k samples has (k - 1) / (k + 1): 95 % need 39 samples.
        """
        if nominal > self.nominal[-1] + 1e-9:
            return math.nan
        return float(np.interp(nominal, self.nominal, self.measured))


def coverage(samples: NDArray[Any], reference: NDArray[Any]) -> Coverage:
    """Measure how often a reference lies between posterior samples.

    A reference distributed as the k samples lies between the j-th lowest and the j-th
    highest of them with probability 1 - 2j / (k + 1), exactly. With 39 samples there
    are intervals of 95, 80 and 50 %.

    Parameters
    ----------
    samples : ndarray, shape (k, ...)
        Posterior samples, at least two.
    reference : ndarray, shape (...)
        Clean image of the same scene, in the same grey levels.

    Raises
    ------
    BadInputError
        If the shapes differ or there are fewer than two samples.
    """
    k = len(samples)
    if samples.shape[1:] != reference.shape or k < 2:
        raise BadInputError(
            f"samples {samples.shape} and reference {reference.shape}: expected two or "
            "more samples of the reference's shape"
        )
    rank = (samples < reference).sum(0)
    j = np.arange((k + 1) // 2, 0, -1)
    measured = [float(((rank >= i) & (rank <= k - i)).mean()) for i in j]
    return Coverage(1 - 2 * j / (k + 1), np.array(measured))


def psnr(image: NDArray[Any], reference: NDArray[Any], data_range: float) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite for equal images."""
    a, b = image.astype(np.float64), reference.astype(np.float64)
    if np.array_equal(a, b):
        return math.inf
    return float(peak_signal_noise_ratio(b, a, data_range=data_range))


def affine_fit(image: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float64]:
    """Return gain · image + offset, fitted to `reference` by least squares."""
    a, b = image.astype(np.float64), reference.astype(np.float64)
    spread = a.var()
    gain = ((a - a.mean()) * (b - b.mean())).mean() / spread if spread > 0 else 0.0
    return np.asarray(gain * (a - a.mean()) + b.mean())


def score(
    image: NDArray[Any], reference: NDArray[Any], data_range: float | None = None
) -> Scores:
    """Compare an image with a reference of the same shape.

    Parameters
    ----------
    image, reference : ndarray, shape (..., y, x)
        SSIM is the mean over planes.
    data_range : float, optional
        Peak for PSNR and SSIM, grey levels; default: the reference's range.

    Raises
    ------
    BadInputError
        If the shapes differ, the reference is constant, or planes are too small for
        SSIM's window of 7 pixels.
    """
    if image.shape != reference.shape:
        raise BadInputError(
            f"image and reference differ in shape: {image.shape} and {reference.shape}"
        )
    if min(reference.shape[-2:]) < WINDOW:
        raise BadInputError(
            f"planes of {reference.shape[-2]} × {reference.shape[-1]} pixels are too "
            f"small to compare: {WINDOW} × {WINDOW} are the least"
        )
    a, b = image.astype(np.float64), reference.astype(np.float64)
    for name, pixels in (("image", a), ("reference", b)):
        if n := int(np.count_nonzero(~np.isfinite(pixels))):
            raise BadInputError(
                f"{n} pixels of the {name} are not finite (NaN or infinite): cut them "
                "off, or fill them, before the comparison"
            )
    if data_range is not None and not 0 < data_range < np.inf:
        raise BadInputError(f"expected a positive peak, got {data_range:g}")
    span = float(np.ptp(b)) if data_range is None else data_range
    if not span > 0:
        raise BadInputError(
            "the reference is constant: PSNR and SSIM need a range of grey levels"
        )
    planes = zip(
        a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]), strict=True
    )
    ssim = [
        structural_similarity(q, p, win_size=WINDOW, data_range=span) for p, q in planes
    ]
    return Scores(
        psnr(a, b, span), psnr(affine_fit(a, b), b, span), float(np.mean(ssim))
    )
