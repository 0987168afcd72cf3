"""Sources of pure noise: flat patches, and differences of repeated frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cosdd.errors import BadInputError

#: Smallest number of flat patches.
FEWEST = 4
#: Largest number of flat patches.
MOST = 64
#: Share of all patches between these that is used.
SHARE = 0.06


def flat_patches(
    planes: NDArray[Any], size: int
) -> tuple[list[NDArray[np.float64]], list[tuple[int, int, int]]]:
    """Find the patches in which the signal varies least.

    Flatness is relative to the noise: the variance of the smoothed patch, which holds
    hardly any noise, over the variance of its fine detail, which is mostly noise. A
    fitted plane is subtracted from each patch, so that a slow illumination gradient
    is not mistaken for correlation.

    Parameters
    ----------
    planes : ndarray, shape (n, y, x)
        Images; NaN where they are not to be used.
    size : int
        Side of a patch, pixels; at most the size of the image.

    Returns
    -------
    patches : list of ndarray, shape (size, size)
        Noise with mean zero.
    corners : list of (plane, y, x)
        Plane and first pixel of each patch.
    """
    size = min(size, *planes.shape[1:])
    candidates = []
    for n, plane in enumerate(planes.astype(np.float64)):
        coarse, fine = _smooth(plane, 4), plane - _smooth(plane, 1.5)
        for y in range(0, plane.shape[0] - size + 1, size):
            for x in range(0, plane.shape[1] - size + 1, size):
                box = (slice(y, y + size), slice(x, x + size))
                noise = fine[box].var()
                if noise > 0:  # not so if a pixel is NaN
                    candidates.append((detrended(coarse[box]).var() / noise, n, y, x))
    if not candidates:
        raise BadInputError(
            "the image is constant everywhere: it holds no noise"
            if np.isfinite(planes).all()
            else f"no place of {size} × {size} pixels in the region shows noise"
        )
    candidates.sort()
    wanted = int(np.clip(SHARE * len(candidates), FEWEST, MOST))
    corners = [(n, y, x) for _, n, y, x in candidates[:wanted]]
    patches = [
        detrended(planes[n, y : y + size, x : x + size].astype(np.float64))
        for n, y, x in corners
    ]
    return patches, corners


def _smooth(plane: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Return a plane after a Gaussian blur that passes over NaN."""
    there = np.isfinite(plane)
    if there.all():
        return np.asarray(ndimage.gaussian_filter(plane, width))
    weight = ndimage.gaussian_filter(there.astype(float), width)
    total = ndimage.gaussian_filter(np.where(there, plane, 0), width)
    return np.asarray(np.where(there, total / np.maximum(weight, 1e-9), np.nan))


def frame_differences(frames: NDArray[Any]) -> NDArray[np.float64]:
    """Return differences of neighbouring frames of a static scene, divided by √2.

    Parameters
    ----------
    frames : ndarray, shape (t, y, x)
        At least two frames.

    Returns
    -------
    ndarray, shape (t - 1, y, x)
        Noise of one frame, if nothing moved.
    """
    if len(frames) < 2:
        raise BadInputError(f"differences need two frames or more, got {len(frames)}")
    return np.asarray(np.diff(frames.astype(np.float64), axis=0) / np.sqrt(2))


def detrended(patch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a patch (y, x) minus its best-fitting plane."""
    y = np.linspace(-1, 1, patch.shape[0])[:, None]
    x = np.linspace(-1, 1, patch.shape[1])[None]
    flat = patch - patch.mean()
    slope_y = (flat * y).mean() / (y**2).mean()
    slope_x = (flat * x).mean() / (x**2).mean()
    return np.asarray(flat - slope_y * y - slope_x * x)
