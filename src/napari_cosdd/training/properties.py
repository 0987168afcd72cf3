"""Measurements on a trained model: its margin, and reversibility of the noise."""

from collections.abc import Generator
from dataclasses import replace

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.errors import CosddError
from napari_cosdd.events import Event, Reason, Warned
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.margin import measure_margin
from napari_cosdd.prediction.reversal import measure_reversible

#: Exceptions that a measurement may raise; the model is then returned without it.
FAILURES = (OSError, MemoryError, RuntimeError, CosddError)


def measured(
    model: TrainedModel, crops: CropSampler, reason: Reason
) -> Generator[Event, None, TrainedModel]:
    """Return the model with measured margin and reversibility of the noise.

    A model whose training was stopped or collapsed may not have learned the noise, so
    its reversibility is not measured.

    Parameters
    ----------
    model : TrainedModel
        The model, on the CPU.
    crops : CropSampler
        Crops of its training.
    reason : Reason
        Why the training ended.
    """
    try:
        margin = measure_margin(model, crops.pairs[0].noisy)
        model = replace(model, margin=margin)
    except FAILURES as error:
        yield Warned(
            f"the receptive field of the network could not be measured ({error}); "
            "tiles use the wider margin computed from its layers"
        )
    if reason not in ("completed", "time limit", "plateau"):
        return model
    try:
        return replace(model, reversible=measure_reversible(model, crops))
    except FAILURES as error:
        yield Warned(
            f"whether the reversed noise has the same distribution could not be "
            f"measured ({error}); samples are not drawn from the reversed image"
        )
        return model
