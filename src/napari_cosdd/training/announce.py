"""The events that show a training: its start, its memory, a preview."""

from collections.abc import Iterator

import numpy as np
import torch

from napari_cosdd.devices import describe_device
from napari_cosdd.events import Event, Preview, Started, Warned
from napari_cosdd.training.batches import tensor_of
from napari_cosdd.training.run import RANDOM, TrainingRun

#: Largest side of a preview, pixels.
PREVIEW_SIDE = 128


def started(run: TrainingRun) -> Started:
    """Return the event that describes the training and its memory."""
    origin = run.trained_on.start or RANDOM
    return Started(
        device=describe_device(run.device),
        n_parameters=sum(p.numel() for p in run.stepper.parameters),
        memory=run.memory_plan.memory,
        first_step=run.state.step,
        max_steps=run.config.steps,
        description=f"{run.method.describe()}, from {origin}",
        curves=tuple(run.method.curves),
    )


def saves_memory(run: TrainingRun) -> Iterator[Event]:
    """Tell if not the whole batch fits into memory at a time."""
    plan, batch = run.memory_plan, run.config.batch_size // run.processes.size
    if run.config.micro_batch or plan.micro_batch == batch:
        return
    again = ", and features twice" if plan.checkpointing else ""
    yield Warned(
        f"to fit into memory, {plan.micro_batch} of {batch} crops are computed at a "
        f"time{again}: the result is the same"
    )


def preview(run: TrainingRun) -> Preview:
    """Return a validation crop processed with the present weights, in grey levels."""
    method, spec = run.method, run.method.spec
    cut = [slice(0, max(m, PREVIEW_SIDE // m * m)) for m in method.tile_multiple()]
    crop = run.validation_crops.take(slice(0, 1)).cut(cut)
    x = tensor_of(crop.noisy, run.device)
    with torch.no_grad():
        estimates = method.preview(x, torch.Generator(run.device).manual_seed(0))
    noisy = spec.normalization.invert(crop.noisy[0], spec.ndim).astype(np.float32)
    images = {
        title: spec.results.invert(s[0].float().cpu().numpy(), spec.ndim)
        for title, s in estimates.items()
    }
    previews = {title: image.astype(np.float32) for title, image in images.items()}
    return Preview(run.state.step, noisy, previews)
