"""Images that are read on demand, loaded where they fit into memory.

For a crop of a compressed file a whole chunk or strip is decoded, often a whole plane,
and a training cuts many thousands of crops.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from napari_cosdd.datasets.survey import boxes
from napari_cosdd.errors import StoppedError
from napari_cosdd.host_memory import free_host_bytes
from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import Stack
from napari_cosdd.training.distributed import Processes

#: Largest share of the free memory that images may take, of all processes together.
SHARE = 0.25


def loaded(images: Sequence[Image], ndim: int, stop: Callable[[], bool]) -> list[Image]:
    """Return the images with their pixels in memory, if all of them fit.

    Parameters
    ----------
    images : sequence of Image
        In memory, or read on demand.
    ndim : {1, 2, 3}
        Number of spatial axes.
    stop : callable
        Polled while pixels are read.

    Raises
    ------
    BadInputError
        If pixels cannot be read.
    StoppedError
        If `stop` returned True.
    """
    room = SHARE * free_host_bytes() / Processes().size
    if sum(map(_n_bytes, filter(_is_lazy, images))) > room:
        return list(images)
    return [_loaded(i, ndim, stop) if _is_lazy(i) else i for i in images]


def _is_lazy(image: Image) -> bool:
    return not isinstance(image.data, np.ndarray)


def _n_bytes(image: Image) -> int:
    return math.prod(image.data.shape) * np.dtype(image.data.dtype).itemsize


def _loaded(image: Image, ndim: int, stop: Callable[[], bool]) -> Image:
    source = Stack(image.data, image.axes, ndim, image.name)
    pixels = np.empty(image.data.shape, source.dtype)
    target = Stack(pixels, image.axes, ndim)
    for n, region in boxes(source):
        if stop():
            raise StoppedError("stopped while the images were being read")
        target.write(n, region, source.read(n, region))
    return replace(image, data=pixels)
