"""Batches of training crops as tensors on the device.

Crops are cut on the CPU, or from images that lie on the GPU as a whole. Both draw the
same crops from the same random numbers.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from napari_cosdd.datasets.crops import Crops, CropSampler, Floats, Place
from napari_cosdd.devices import available_bytes
from napari_cosdd.methods.values import Batch
from napari_cosdd.nets.blocks import channels_last

#: Largest share of the GPU's free memory that the images may take.
RESIDENT_SHARE = 0.25
#: Largest size of images that lie on the GPU, bytes: larger ones would take long to
#: read.
RESIDENT = 4 << 30


class Batches(Protocol):
    """A source of batches."""

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return `n` random crops as tensors on the device."""


def batches(crops: CropSampler, device: torch.device) -> Batches:
    """Return the fastest source of batches for a device."""
    if device.type != "cuda":
        return CutOnHost(crops, device)
    room = min(RESIDENT, RESIDENT_SHARE * available_bytes(device))
    return (CutOnDevice if crops.n_bytes <= room else CutOnHost)(crops, device)


def batch_of(crops: Crops, device: torch.device) -> Batch:
    """Return crops as tensors on a device."""
    target = None if crops.target is None else tensor_of(crops.target, device)
    weight = None if crops.weight is None else tensor_of(crops.weight, device)
    return Batch(tensor_of(crops.noisy, device), target, weight)


def tensor_of(array: Floats, device: torch.device) -> Tensor:
    """Return an array as a tensor on a device, in channels-last memory format."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return channels_last(tensor.to(device))


class CutOnHost:
    """Cuts crops on the CPU and sends them to the device."""

    def __init__(self, crops: CropSampler, device: torch.device) -> None:
        self.crops, self.device = crops, device

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return `n` random crops."""
        return batch_of(self.crops.batch(n, rng), self.device)


class CutOnDevice:
    """Keeps all training images on the device and cuts the crops there.

    Parameters
    ----------
    crops : CropSampler
        Gives the images, normalized, and the places of crops.
    device : torch.device
        Device with room for the images.
    """

    def __init__(self, crops: CropSampler, device: torch.device) -> None:
        self.crops, self.device = crops, device
        images = crops.whole_images()
        self._shapes = {key: image.noisy.shape for key, image in images.items()}
        sizes = [image.noisy.size for image in images.values()]
        starts = np.cumsum([0, *sizes[:-1]])
        self._first = dict(zip(images, map(int, starts), strict=True))
        self._noisy = self._joined([i.noisy for i in images.values()])
        targets = [i.target for i in images.values() if i.target is not None]
        self._target = self._joined(targets) if targets else None
        self._weight = None
        if any(i.weight is not None for i in images.values()):
            self._weight = self._joined(
                [
                    np.ones_like(i.noisy) if i.weight is None else i.weight
                    for i in images.values()
                ]
            )

    def _joined(self, arrays: Sequence[Floats]) -> Tensor:
        flat = np.concatenate([a.ravel() for a in arrays])
        return torch.from_numpy(flat).to(self.device)

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return `n` random crops."""
        index = self._index(self.crops.places(n, rng))
        whole = Batch(self._noisy, self._target, self._weight)
        return whole.map(lambda values: channels_last(values.take(index)))

    def _index(self, places: Sequence[Place]) -> Tensor:
        """Return the positions of all pixels of all crops, (n, c, *spatial)."""
        crop, ndim = self.crops.crop, len(self.crops.crop)
        rows = []
        for place in places:
            key = (place.block.stack, place.block.image)
            shape = self._shapes[key]
            first, steps = self._first[key], []
            for axis, (start, length) in enumerate(zip(place.start, crop, strict=True)):
                stride = math.prod(shape[axis + 2 :])
                flipped = axis in place.flipped
                first += (start + length - 1 if flipped else start) * stride
                steps.append(-stride if flipped else stride)
            rows.append([first, math.prod(shape[1:]), *steps])
        columns = torch.tensor(rows).to(self.device, non_blocking=True).unbind(1)
        lengths = (self.crops.spec.n_channels, *crop)
        index = columns[0].reshape(-1, *(1,) * (ndim + 1))
        for axis, (column, length) in enumerate(zip(columns[1:], lengths, strict=True)):
            along = [1] * (ndim + 2)
            along[axis + 1] = length
            step = column.reshape(-1, *(1,) * (ndim + 1))
            index = index + step * torch.arange(length, device=self.device).view(along)
        return index
