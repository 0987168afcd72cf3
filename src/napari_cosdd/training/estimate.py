"""How long a training will take and what it needs, by trying a few small steps."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_cosdd.datasets.crops import Crops, CropSampler
from napari_cosdd.devices import describe_device
from napari_cosdd.methods.base import Method
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.memory import estimate_memory
from napari_cosdd.training.stepper import Stepper

#: Steps tried after the first, and the largest crop they are tried on, pixels.
TRIED, SIDE = 3, 64
#: Pixels of a step that are tried at most: a `quick` step, an instant on a laptop.
PIXELS = 8 * 64 * 64


@dataclass(frozen=True)
class TrainingEstimate:
    """What a training will take.

    Attributes
    ----------
    device : str
        In words.
    seconds : float
        For all steps, or the time limit if that comes first.
    memory : int
        Bytes, the program included.
    """

    device: str
    seconds: float
    memory: int


def estimate_training(
    build: Callable[[], Method[Any]],
    crops: CropSampler,
    config: TrainingConfig,
    device: torch.device,
) -> TrainingEstimate:
    """Time some steps of at most a `quick` step's size, and scale by the pixels.

    Parameters
    ----------
    build : callable
        Makes the method.
    crops : CropSampler
        Training crops.
    config : TrainingConfig
        Settings.
    device : torch.device
        Where it is to be computed.
    """
    stepper = Stepper.seeded(build, config, device, seed=0)
    method: Any = stepper.method
    memory = estimate_memory(method, crops.crop, stepper.micro_batch)
    pixels = config.batch_size * math.prod(crops.crop)
    batch = _small_batch(crops, config)
    seconds = []
    for _ in range(1 + TRIED):
        began = time.perf_counter()
        for _ in stepper.step(batch, 1.0, 1e-6, "from random weights"):
            pass
        seconds.append(time.perf_counter() - began)
    per_step = min(seconds[1:]) * pixels / batch.noisy[:, 0].size
    total = config.steps * per_step
    if config.time_limit is not None:
        total = min(total, 60 * config.time_limit)
    return TrainingEstimate(describe_device(device), total, memory)


def _small_batch(crops: CropSampler, config: TrainingConfig) -> Crops:
    """Return crops of the training, cut down to a small step's size."""
    batch = crops.batch(config.batch_size, np.random.default_rng(config.seed))
    cut = [
        slice(0, min(s, max(m, SIDE // m * m)))
        for s, m in zip(crops.crop, crops.multiple, strict=True)
    ]
    batch = batch.cut(cut)
    return batch.take(slice(0, max(1, PIXELS // math.prod(batch.noisy.shape[2:]))))
