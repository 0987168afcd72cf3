"""Hot and dead pixels, cosmic rays: single pixels that are no noise of the detector.

Stuck rows and columns are in `stuck_lines`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cosdd.images.stuck_lines import stuck_lines, without_stuck_lines

#: Distance from the neighbours' median from which a pixel sticks out, local deviations.
FAR = 10.0
#: Side of the blocks in which the deviation is measured, pixels.
BLOCK = 16
#: Largest number of pixels that stick out together: a larger group may be signal.
TOGETHER = 2
#: Largest share of pixels that may be outliers. More are the noise itself, such as
#: single photons in the dark.
RARE = 1e-3
#: The pixels around one, itself left out.
RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


class Outliers(NamedTuple):
    """The pixels of a plane that stick out.

    Attributes
    ----------
    mask : ndarray of bool, shape (y, x)
        Single pixels or pairs.
    around : ndarray, shape (y, x)
        Median of the neighbours of every pixel.
    groups : ndarray of bool, shape (y, x)
        Larger groups: signal, or the track of a particle.
    """

    mask: NDArray[np.bool_]
    around: NDArray[np.float64]
    groups: NDArray[np.bool_]


class Cleaned(NamedTuple):
    """Images without their outliers.

    Attributes
    ----------
    planes : ndarray, shape (..., y, x)
        The same array if nothing sticks out.
    n : int
        Number of replaced pixels.
    doubtful : ndarray of bool, shape (..., y, x), or None
        Pixels that stick out and were left: in larger groups, or too many of them.
    """

    planes: NDArray[Any]
    n: int
    doubtful: NDArray[np.bool_] | None


def outliers(plane: NDArray[Any]) -> Outliers:
    """Find the pixels that stick out from their neighbours.

    The threshold is relative to the local deviation of the noise, so that bright places
    with more noise have no outliers for that.

    Parameters
    ----------
    plane : ndarray, shape (y, x)
        Finite grey levels. If it is a part of an image, its first pixel should lie at a
        multiple of `BLOCK`, so that overlapping parts agree.
    """
    values = plane.astype(np.float64)
    around = ndimage.median_filter(values, footprint=RING, mode="mirror")
    distance = np.abs(values - around)
    far = distance > FAR * _local_deviation(distance)
    if not far.any():
        return Outliers(far, around, far)
    groups, _ = ndimage.label(far, structure=np.ones((3, 3)))
    small = np.bincount(groups.ravel()) <= TOGETHER
    small[0] = False  # the background
    single = np.asarray(small[groups])
    return Outliers(single, around, far & ~single)


def without_outliers(planes: NDArray[Any]) -> Cleaned:
    """Replace what sticks out: pixels by the median, lines by the mean of neighbours.

    Parameters
    ----------
    planes : ndarray, shape (..., y, x)
        Images, grey levels.
    """
    replaced, n = planes, 0
    doubtful: NDArray[np.bool_] | None = None
    for index in np.ndindex(planes.shape[:-2]):
        plane, bad = planes[index], np.zeros(planes.shape[-2:], bool)
        for axis in (0, 1):
            stuck = stuck_lines(planes[index], axis)
            if stuck.any():
                plane = without_stuck_lines(plane, stuck, axis)
                np.moveaxis(bad, axis, 0)[stuck] = True
        mask, around, left = outliers(plane)
        if 0 < mask.mean() <= RARE:
            plane = np.where(mask, around.astype(plane.dtype), plane)
            bad |= mask
        else:
            left = left | mask
        if left.any():
            doubtful = np.zeros(planes.shape, bool) if doubtful is None else doubtful
            doubtful[index] = left
        if not bad.any():
            continue
        if replaced is planes:
            replaced = planes.copy()
        replaced[index] = plane
        n += int(bad.sum())
    return Cleaned(replaced, n, doubtful)


def _local_deviation(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the robust deviation in blocks, the largest of neighbouring ones.

    Where it is zero, that of the whole plane serves; if this is zero as well, as in the
    dark of a photon counter, nothing is far.
    """
    height, width = distance.shape
    beyond = [(0, -n % BLOCK) for n in distance.shape]
    padded = np.pad(distance, beyond, mode="symmetric")
    rows, columns = (n // BLOCK for n in padded.shape)
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK)
    medians = np.median(blocks, axis=(1, 3))
    largest = 1.4826 * ndimage.maximum_filter(medians, 3)
    if not largest.all():
        usual = 1.4826 * float(np.median(distance)) or np.inf
        largest = np.where(largest > 0, largest, usual)
    each = np.repeat(np.repeat(largest, BLOCK, 0), BLOCK, 1)
    return np.asarray(each[:height, :width])
