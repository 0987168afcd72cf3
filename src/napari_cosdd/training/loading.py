"""Images that are read on demand, loaded where they fit into memory.

For a crop of a compressed file a whole chunk or strip is decoded, often a whole plane,
and a training cuts many thousands of crops.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.errors import StoppedError
from napari_cosdd.host_memory import free_host_bytes
from napari_cosdd.images.stack import Stack
from napari_cosdd.training.distributed import Processes

#: Largest share of the free memory that all images may take in all processes.
SHARE = 0.25
#: Memory that the images leave to the training, bytes.
LEFT = 4 << 30


def load(stacks: Sequence[Stack], stop: Callable[[], bool]) -> None:
    """Read the pixels of all stacks into memory, if they fit together.

    A stack that cannot be read stays as it is: reading it piece by piece says where it
    is damaged.

    Parameters
    ----------
    stacks : sequence of Stack
        In memory, or read on demand.
    stop : callable
        Polled while pixels are read.

    Raises
    ------
    StoppedError
        If `stop` returned True.
    """
    lazy = [stack for stack in stacks if not isinstance(stack.data, np.ndarray)]
    free = free_host_bytes()
    room = min(SHARE * free, free - LEFT) / Processes().size
    if sum(math.prod(s.data.shape) * s.dtype.itemsize for s in lazy) > room:
        return
    for stack in lazy:
        try:
            stack.data = _pixels(stack.data, stop)
        except StoppedError:
            raise
        except Exception:  # noqa: BLE001 - as the docstring says
            return


def _pixels(data: Any, stop: Callable[[], bool]) -> NDArray[Any]:
    """Read an array chunk by chunk along its first axis that has several indices."""
    axis = next((i for i, n in enumerate(data.shape) if n > 1), 0)
    chunks = getattr(data, "shards", None) or getattr(data, "chunks", None)
    step = 1 if chunks is None else int(np.max(chunks[axis]))
    pixels = np.empty(data.shape, data.dtype)
    for start in range(0, data.shape[axis], step):
        if stop():
            raise StoppedError("stopped while the images were being read")
        part = (*(slice(None),) * axis, slice(start, start + step))
        read = np.asarray(data[part])
        if read.dtype != pixels.dtype:
            raise TypeError(f"declared as {pixels.dtype}, and read as {read.dtype}")
        pixels[part] = read
    return pixels
