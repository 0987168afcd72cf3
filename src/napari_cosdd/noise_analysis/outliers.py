"""Hot and dead pixels, cosmic rays: single pixels that are no noise of the detector."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Distance from the neighbours' median, in local deviations, from which a pixel sticks
#: out; side of the blocks in which the deviation is measured, pixels.
FAR, BLOCK = 10.0, 16
#: Largest number of pixels that stick out together: a larger group may be signal.
TOGETHER = 2
#: Largest share of pixels that may be outliers. More are the noise itself, such as
#: single photons in the dark.
RARE = 1e-3
#: The pixels around one, itself left out.
RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


def without_outliers(planes: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Replace pixels that stick out by the median of their neighbours.

    The threshold is relative to the local deviation of the noise, so that bright places
    with more noise have no outliers for that.

    Parameters
    ----------
    planes : ndarray, shape (..., y, x)
        Images, grey levels.

    Returns
    -------
    planes : ndarray, shape (..., y, x)
        The same array if nothing sticks out.
    n : int
        Number of replaced pixels.
    """
    replaced, n = planes, 0
    for index in np.ndindex(planes.shape[:-2]):
        plane = planes[index].astype(np.float64)
        around = ndimage.median_filter(plane, footprint=RING, mode="mirror")
        mask = _sticking_out(np.abs(plane - around))
        if not 0 < mask.mean() <= RARE:
            continue
        if replaced is planes:
            replaced = planes.copy()
        replaced[index][mask] = around[mask].astype(planes.dtype)
        n += int(mask.sum())
    return replaced, n


def _sticking_out(distance: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the pixels, (y, x), of which few together are far from the others."""
    far = distance > FAR * _local_deviation(distance)
    groups, _ = ndimage.label(far, structure=np.ones((3, 3)))
    small = np.bincount(groups.ravel()) <= TOGETHER
    small[0] = False  # the background
    return np.asarray(small[groups])


def _local_deviation(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the robust deviation in blocks, the largest of neighbouring ones."""
    height, width = distance.shape
    rows, columns = (max(1, n // BLOCK) for n in distance.shape)
    blocks = np.array(
        [
            [np.median(part) for part in np.array_split(row, columns, 1)]
            for row in np.array_split(distance, rows, 0)
        ]
    )
    largest = 1.4826 * ndimage.maximum_filter(blocks, 3)
    at_rows = np.repeat(np.arange(rows), [len(p) for p in _parts(height, rows)])
    at_columns = np.repeat(np.arange(columns), [len(p) for p in _parts(width, columns)])
    return np.asarray(largest[at_rows][:, at_columns])


def _parts(length: int, n: int) -> list[NDArray[Any]]:
    return np.array_split(np.arange(length), n)
