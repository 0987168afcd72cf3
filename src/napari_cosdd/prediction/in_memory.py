"""A prediction: the source, its mean, deviation and samples, tile by tile."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_cosdd.datasets.survey import check_finite
from napari_cosdd.errors import BadInputError, in_words
from napari_cosdd.events import Allocated, Denoised, Event, Warned
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.stack import Stack
from napari_cosdd.models.compatibility import check_compatible, differences
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.denoiser import denoise as denoise_stack
from napari_cosdd.prediction.outputs import DEVIATION, MEAN, part_names, sample_name
from napari_cosdd.settings.prediction import PredictionConfig

#: Kept samples beyond this many bytes go to a temporary file.
SAMPLES_LIMIT = 4 << 30
#: Step between neighbouring numbers that does not show, in deviations of the image.
FINE = 0.01
#: Types of the results; "same" is that of the source.
DTYPES = ("float32", "same")


@dataclass(frozen=True)
class Prediction:
    """A denoised image.

    Attributes
    ----------
    source : Image
        What was denoised; results have its axes and pixel size.
    mean : ndarray, shape of the source
        Mean of the posterior samples (MMSE estimate), or the point estimate.
    deviation : ndarray or None
        Posterior standard deviation per pixel, grey levels; of two samples or more.
    samples : ndarray, shape (n_kept, *shape of the source)
        Single posterior samples; empty if none were kept.
    """

    source: Image
    mean: NDArray[Any]
    deviation: NDArray[Any] | None
    samples: NDArray[Any]

    @property
    def parts(self) -> dict[str, NDArray[Any]]:
        """The images by name: mean, deviation if there is one, sample 1, sample 2."""
        made = {MEAN: self.mean}
        if self.deviation is not None:
            made[DEVIATION] = self.deviation
        return made | {sample_name(k): s for k, s in enumerate(self.samples)}


def prediction_config(settings: dict[str, Any]) -> PredictionConfig:
    """Check settings of the denoising."""
    try:
        return PredictionConfig.model_validate(settings)
    except ValidationError as error:
        raise BadInputError(in_words(error, PredictionConfig.model_fields)) from error


def denoising(
    model: TrainedModel,
    image: Image,
    config: PredictionConfig,
    *,
    dtype: str = "float32",
    mask: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Denoise as a stream of events; the last is Denoised, with a Prediction.

    The first is Allocated, with the same Prediction still empty: whoever shows it
    sees it fill. Stopped early, it holds what was drawn so far.

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    image : Image
        Noisy; read tile by tile.
    config : PredictionConfig
        Settings.
    dtype : str
        Of mean and samples: "float32" (float64 on offsets so large that it would
        show steps), or "same" for the source's. The deviation is always float32.
    mask : bool
        Fill pixels that are not finite.
    stop : callable
        Polled between batches of samples; True ends without Denoised.

    Raises
    ------
    BadInputError
        If pixels are not finite and not masked, or the type is unknown.
    BadModelFileError
        If the model is for other channels or dimensions.
    NotEnoughMemoryError, DeviceLostError
        If memory runs out with a single sample, or the GPU is gone.
    """
    ndim = model.spec.ndim
    source = stack_of(image, ndim, mask)
    check_compatible(model, source, config.direct)
    if not mask:
        check_finite([source])
    shape, kind = image.data.shape, result_type(model, image, dtype)
    names = part_names(model.method, config)
    mean = _room(shape, kind)
    deviation = _room(shape, np.dtype(np.float32)) if DEVIATION in names else None
    n_kept = len(set(names) - {MEAN, DEVIATION})
    prediction = Prediction(image, mean, deviation, _room((n_kept, *shape), kind))
    outputs = {
        name: Stack(part, image.axes, ndim) for name, part in prediction.parts.items()
    }
    yield Allocated(prediction)
    yield from map(Warned, differences(model, image, filled=mask))
    if (yield from denoise_stack(model, source, outputs, config, stop=stop)):
        yield Denoised(prediction)


def result_type(model: TrainedModel, image: Image, dtype: str) -> np.dtype[Any]:
    """Return the type of mean and samples.

    Where float32 has steps that would show, as on a large offset, it is float64.
    """
    if dtype not in DTYPES:
        raise BadInputError(f"type {dtype!r}: expected {' or '.join(DTYPES)}")
    if dtype == "same":
        return np.dtype(image.data.dtype)
    scale = model.spec.normalization
    levels = zip(scale.mean, scale.std, strict=True)
    coarse = any(np.spacing(np.float32(abs(m))) > FINE * s for m, s in levels)
    return np.dtype("float64" if coarse else dtype)


def _room(shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros, in a temporary file if they would not fit into memory."""
    if int(np.prod(shape)) * kind.itemsize <= SAMPLES_LIMIT:
        return np.zeros(shape, kind)
    with tempfile.TemporaryFile() as file:  # the map keeps it until it is let go
        return np.memmap(file, kind, "w+", shape=shape)
