"""Stuck rows and columns: lines of a detector that carry no signal."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Distance of a line from those on both of its sides, in robust deviations of all such
#: distances, from which it is stuck. It must exceed the deviation of single pixels, of
#: the line and of all, too: fainter offsets of lines are noise.
FAR = 10.0
#: Number of lines on each side that a line is compared with, by their median: a line
#: beside another stuck one is then still compared with sound ones.
BESIDE = 3
#: Largest share of lines that may be stuck; more are the noise or the scene.
RARE = 0.05
#: Smallest number of lines that are compared.
FEWEST = 16
#: Number of pixels of a line, evenly spread, that suffice.
SPREAD = 256


def stuck_lines(plane: NDArray[Any], axis: int) -> NDArray[np.bool_]:
    """Find rows or columns that stand out from the lines on both sides.

    An edge of the scene along a line differs from one side alone and is none.

    Parameters
    ----------
    plane : ndarray, shape (y, x)
        Finite grey levels; a part of the length of all lines suffices.
    axis : {0, 1}
        0: rows, 1: columns.

    Returns
    -------
    stuck : ndarray of bool, shape (y,) or (x,)
    """
    lines = np.moveaxis(plane, axis, 0)
    odd = lines.shape[1] // SPREAD | 1  # detectors have readout patterns of 2, 4, 8
    lines = lines[:, ::odd].astype(np.float64)
    n = len(lines)
    none = np.zeros(n, bool)
    if n < FEWEST:
        return none
    padded = np.pad(lines, [(BESIDE, BESIDE), (0, 0)], mode="reflect")
    sides = [
        np.median([padded[BESIDE + sign * k :][:n] for k in range(1, BESIDE + 1)], 0)
        for sign in (-1, 1)
    ]
    before, after = (lines - side for side in sides)
    offsets = np.median([before, after], axis=2)  # (2, n): by side and line
    agree = np.sign(offsets).prod(0) > 0
    offset = np.where(agree, np.abs(offsets).min(0), 0.0)
    spread = 1.4826 * float(np.median(np.abs(offsets)))
    usual = 1.4826 * float(np.median(np.abs(before)))
    if not usual > 0:
        return none
    scatter = np.abs(before - np.median(before, axis=1, keepdims=True))
    own = 1.4826 * np.median(scatter, axis=1)  # larger where the scene is brighter
    stuck = offset > np.maximum(own, max(FAR * spread, usual))
    return stuck if stuck.sum() <= max(1, RARE * n) else none


def without_stuck_lines(
    plane: NDArray[Any], stuck: NDArray[np.bool_], axis: int
) -> NDArray[Any]:
    """Replace stuck rows (axis 0) or columns (axis 1) by the mean of sound neighbours.

    Parameters
    ----------
    plane : ndarray, shape (y, x)
        Grey levels.
    stuck : ndarray of bool, shape (y,) or (x,)
        Lines to replace; not all.
    axis : {0, 1}
        0: rows, 1: columns.
    """
    lines = np.moveaxis(plane, axis, 0)
    replaced = lines.copy()
    sound = np.flatnonzero(~stuck)
    for i in np.flatnonzero(stuck):
        at = np.searchsorted(sound, i)
        nearest = sound[max(0, at - 1) : at + 1]
        mean = lines[nearest].astype(np.float64).mean(0)
        replaced[i] = np.rint(mean) if lines.dtype.kind in "iu" else mean
    return np.moveaxis(replaced, 0, axis)
