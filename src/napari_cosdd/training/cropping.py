"""The size of training crops, and the pixels that they are cut from."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.datasets.pairs import Pair
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.split import room_for_crops, split, split_off
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.base import Method
from napari_cosdd.settings.training import TrainingConfig

#: Smallest crop that the settings allow, pixels.
LEAST = 8


def cut_crops(
    pairs: Sequence[Pair],
    spec: DataSpec,
    method: Method[Any],
    training: TrainingConfig,
    validation: Sequence[Pair] = (),
) -> CropSampler:
    """Split the images into training and validation, across the rows of the noise.

    If images to validate on are given, all pixels of the others are trained on. If the
    crops of the settings are larger than every image, they are as large as the smallest
    image allows.

    Raises
    ------
    BadInputError
        If the crop size does not suit the network, or some images are too small for it.
    """
    multiple = method.tile_multiple()
    stacks = [pair.noisy for pair in pairs]
    across = [a for a in range(spec.ndim) if a != method.noise_dim]
    axis, share = across[-1] if across else 0, training.validation_share
    crop = _crop_size(training, stacks, multiple)
    if validation:
        rooms = [stack.size for stack in stacks]
    else:
        rooms = room_for_crops(stacks, multiple, axis, share)
    if all(min(room[-2:]) < crop[-1] for room in rooms):
        crop = _fitting(crop, rooms, multiple)
    if validation:
        others = [pair.noisy for pair in validation]
        parts = split_off(stacks, others, crop, multiple)
    else:
        rng = np.random.default_rng(training.seed)
        parts = split(stacks, crop, multiple, axis, share, rng)
    every = [*pairs, *validation]
    return CropSampler(every, spec, parts, crop, multiple, method.symmetries())


def smaller_crops(requested: TrainingConfig, crops: CropSampler) -> str:
    """Return a sentence if crops are smaller than requested; else nothing."""
    if crops.crop[-1] == requested.crop_size:
        return ""
    return (
        f"the crop size is {crops.crop[-1]} px instead of {requested.crop_size}, for "
        "the images are small"
    )


def _crop_size(
    training: TrainingConfig, stacks: Sequence[Stack], multiple: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the requested crop; its depth is at most that of the shallowest stack."""
    size = [training.crop_size] * len(multiple)
    if len(size) == 3:
        size[0] = min(training.crop_depth, *(s.size[0] for s in stacks))
    for pixels, step in zip(size, multiple, strict=True):
        if pixels % step:
            raise BadInputError(
                f"a crop size of {pixels} is not a multiple of {step}, as this "
                f"network needs; use {max(step, pixels // step * step)}"
            )
    return tuple(size)


def _fitting(
    crop: tuple[int, ...],
    rooms: Sequence[tuple[int, ...]],
    multiple: tuple[int, ...],
) -> tuple[int, ...]:
    """Return the largest crop that fits everywhere; `crop` if the least does not."""
    step = max(multiple[-2:])
    fits = min(min(room[-2:]) for room in rooms) // step * step
    if fits < max(step, LEAST):
        return crop
    return (*crop[: len(crop) - 2], *(fits for _ in crop[-2:]))
