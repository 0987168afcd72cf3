"""Estimate of a training's time and memory, from a few small steps."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_cosdd._formatting import duration, memory
from napari_cosdd.datasets.crops import Crops, CropSampler
from napari_cosdd.devices import available_bytes, describe_device
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.values import Moment
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.threads import threads_for
from napari_cosdd.training.batches import batch_of
from napari_cosdd.training.memory import fit_to_memory
from napari_cosdd.training.stepper import Stepper

END = Moment(10**6, 10**6, 1.0)
#: Time of a training from which another preset is recommended, seconds.
TOO_LONG = 12 * 3600
#: Number of timed steps, after a first one to warm up.
TRIED = 3
#: Largest side of their crops, pixels.
SIDE = 64
#: Largest number of pixels in a timed step: that of a `quick` step, which is fast.
PIXELS = 8 * 64 * 64


@dataclass(frozen=True)
class TrainingEstimate:
    """Estimated time and memory of a training.

    Attributes
    ----------
    device : str
        Device in words.
    seconds : float
        Time for all steps, or the time limit if it is shorter.
    memory : int
        Bytes, including the program.
    """

    device: str
    seconds: float
    memory: int

    def __str__(self) -> str:
        """Say it in a sentence, and what to do if it takes too long."""
        time, needed = duration(self.seconds), memory(self.memory)
        text = f"About {time} and {needed} on {self.device}."
        if self.seconds > TOO_LONG:
            text += " These networks are for a GPU; quick takes minutes here."
        return text


def estimate_training(
    build: Callable[[], Method[Any]],
    crops: CropSampler,
    config: TrainingConfig,
    device: torch.device,
) -> TrainingEstimate:
    """Time a few steps, at most of a `quick` step's size, and scale by the pixels.

    Parameters
    ----------
    build : callable
        Makes the method.
    crops : CropSampler
        Training crops.
    config : TrainingConfig
        Settings.
    device : torch.device
        Device of the training.

    Raises
    ------
    NotEnoughMemoryError
        If a single crop does not fit.
    """
    stepper = Stepper.seeded(build, config, device, seed=0)
    method: Any = stepper.method
    fit = fit_to_memory(
        method,
        crops.crop,
        config.batch_size,
        available_bytes(device),
        micro_batch=config.micro_batch,
        checkpointing=config.checkpointing,
    )
    pixels = config.batch_size * math.prod(crops.crop)
    batch = batch_of(_small_batch(crops, config), device)
    seconds = []
    with threads_for(device):
        for _ in range(1 + TRIED):
            began = time.perf_counter()
            for _ in stepper.step(batch, END, 1e-6, "from random weights"):
                pass
            stepper.look()
            seconds.append(time.perf_counter() - began)
        described = describe_device(device)
    per_step = min(seconds[1:]) * pixels / batch.x[:, 0].numel()
    total = config.steps * per_step
    if config.time_limit is not None:
        total = min(total, 60 * config.time_limit)
    return TrainingEstimate(described, total, fit.memory)


def _small_batch(crops: CropSampler, config: TrainingConfig) -> Crops:
    """Return training crops, cut to the size of a small step."""
    batch = crops.batch(config.batch_size, np.random.default_rng(config.seed))
    cut = [
        slice(0, min(s, max(m, SIDE // m * m)))
        for s, m in zip(crops.crop, crops.multiple, strict=True)
    ]
    batch = batch.cut(cut)
    return batch.take(slice(0, max(1, PIXELS // math.prod(batch.noisy.shape[2:]))))
