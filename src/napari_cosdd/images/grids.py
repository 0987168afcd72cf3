"""Grids of every n-th pixel, between which noise along both axes is independent.

Interpolation, registration and compression correlate noise along both axes, over few
pixels. Pixels that lie further apart have independent noise, and an image that was
smoothed so changes little from one to the next: each grid is an image of the same scene
with independent noise.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.image import Image


def split_grids(image: Image, step: int) -> Image:
    """Return the grids of an image as images of one stack.

    Parameters
    ----------
    image : Image
        With axes Y and X; beyond its end it is mirrored to a multiple of `step`.
    step : int
        Distance of the pixels of a grid, at least 2.

    Returns
    -------
    Image
        With an axis more, the first, of step² grids: rows of offsets in y, then x.

    Raises
    ------
    BadInputError
        If it has no letter left for that axis.
    """
    free = [a for a in "STZ" if a not in image.axes]
    if not free or "Y" not in image.axes:
        raise BadInputError(
            f"{image.name} with axes {image.axes} cannot be split into grids"
        )
    at = [image.axes.index(a) for a in "YX"]
    beyond = [(0, 0)] * len(image.axes)
    for i in at:
        beyond[i] = (0, -image.data.shape[i] % step)
    pixels = np.pad(np.asarray(image.data), beyond, mode="symmetric")
    grids = []
    for offsets in np.ndindex(step, step):
        part: list[slice] = [slice(None)] * pixels.ndim
        for i, offset in zip(at, offsets, strict=True):
            part[i] = slice(offset, None, step)
        grids.append(pixels[tuple(part)])
    selection = image.selection
    if selection is not None:
        size = [pixels.shape[i] for i in at]
        wide = np.zeros(size, bool)
        wide[: selection.shape[0], : selection.shape[1]] = selection
        selection = wide[::step, ::step]
    return replace(
        image,
        data=np.stack(grids),
        axes=free[0] + image.axes,
        axes_from="user",
        selection=selection,
    )


def join_grids(grids: NDArray[Any], step: int, image: Image) -> NDArray[np.float64]:
    """Return the image that estimates of its grids make.

    Every pixel is the mean of the estimates around it, one of each grid.

    Parameters
    ----------
    grids : ndarray, shape (step², *shape of a grid)
        Estimates, in the order of `split_grids`.
    step : int
        Distance of the pixels of a grid.
    image : Image
        The image that was split.
    """
    at = [image.axes.index(a) for a in "YX"]
    shape = list(grids.shape[1:])
    for i in at:
        shape[i] *= step
    joined = np.empty(shape)
    for grid, offsets in zip(grids, np.ndindex(step, step), strict=True):
        part: list[slice] = [slice(None)] * joined.ndim
        for i, offset in zip(at, offsets, strict=True):
            part[i] = slice(offset, None, step)
        joined[tuple(part)] = grid
    joined = joined[tuple(slice(n) for n in image.data.shape)]
    kernel = np.ones(step + 1 - step % 2)
    if step % 2 == 0:  # half of either end, so that the mean lies around the pixel
        kernel[[0, -1]] = 0.5
    for i in at:
        joined = ndimage.correlate1d(joined, kernel / step, i, mode="reflect")
    return np.asarray(joined)
