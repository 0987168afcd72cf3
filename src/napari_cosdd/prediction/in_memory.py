"""A prediction in memory: the source and its outputs, filled tile by tile."""

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.datasets.survey import check_finite
from napari_cosdd.errors import BadInputError, SavingError
from napari_cosdd.events import Allocated, Denoised, Event, Warned
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.grids import join_grids, split_grids
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.normalization import as_type
from napari_cosdd.images.selection import Part, Selected, part_of
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.outputs import DEVIATION, MEAN, Output
from napari_cosdd.models.compatibility import check_compatible, differences
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.denoiser import denoise as denoise_stack
from napari_cosdd.prediction.outputs import outputs_of
from napari_cosdd.remedies import Remedy
from napari_cosdd.settings.prediction import PredictionConfig

#: Largest array that is kept in memory, bytes; larger ones go to a temporary file.
IN_MEMORY_LIMIT = 4 << 30
#: Largest step between neighbouring float32 numbers that is invisible, in deviations
#: of the image.
FINE = 0.01
#: Types of the results; "same" is the type of the source.
DTYPES = ("float32", "same")
#: Type of the estimates of grids, before they are joined.
FINE_TYPE = np.dtype(np.float64)
#: Roles of the outputs that begin as the noisy image.
NOISY_AT_FIRST = ("estimate", "sample")


@dataclass(frozen=True)
class Prediction:
    """A denoised image.

    Attributes
    ----------
    source : Image
        The noisy image; results have its axes and pixel size.
    outputs : mapping of Output to ndarray, each of the shape of the source
        Outputs in the order of display, MEAN first.
    samples : ndarray, shape (n_kept, *shape of the source)
        The kept posterior samples in one array; empty if none were kept.
    """

    source: Image
    outputs: Mapping[Output, NDArray[Any]]
    samples: NDArray[Any]

    def __repr__(self) -> str:
        names = ", ".join(output.name for output in self.outputs)
        shape = " × ".join(map(str, self.mean.shape))
        return f"Prediction({self.source.name}, {shape} {self.source.axes}: {names})"

    @property
    def mean(self) -> NDArray[Any]:
        """Mean of the posterior samples (MMSE estimate), or the point estimate."""
        return self.outputs[MEAN]

    @property
    def deviation(self) -> NDArray[Any] | None:
        """Posterior standard deviation per pixel, grey levels; None if not computed."""
        return self.outputs.get(DEVIATION)


def denoising(
    model: TrainedModel,
    image: Image,
    config: PredictionConfig,
    *,
    dtype: str = "float32",
    fill: Fill | None = None,
    region: Selected | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Denoise as a stream of events; the last is Denoised, with a Prediction.

    The first event is Allocated, with the same Prediction, so that it can be shown
    while it fills. Estimates and samples begin as the noisy pixels. If stopped early,
    it holds the samples drawn so far.

    Parameters
    ----------
    model : TrainedModel
        Trained model.
    image : Image
        Noisy; read tile by tile.
    config : PredictionConfig
        Settings.
    dtype : str
        Type of estimates and samples: "float32" (float64 for grey levels so large that
        float32 would show steps), or "same" for that of the source. A deviation is
        always float32.
    fill : {"nothing", "missing", "outliers"}, optional
        Pixels to fill: those that are not finite, or outliers as well.
    region : rectangle, mask or file, optional
        The part to denoise, as in a training. Elsewhere estimates and samples are the
        pixels of the image, and a spread is zero.
    stop : callable
        Polled between batches of samples; True ends without Denoised.

    Raises
    ------
    BadInputError
        If pixels are not finite and not filled, or the type is unknown.
    BadModelFileError
        If the model is for other channels or dimensions.
    NotEnoughMemoryError, DeviceLostError
        If memory runs out with a single sample, or the GPU fails.
    SavingError
        If the results are too large for memory, and for the temporary folder.
    """
    ndim = model.spec.ndim
    fill = model.filling(fill)
    whole = tuple(slice(0, n) for n in image.data.shape)
    part = Part(image, whole) if region is None else part_of(image, region)
    grid = model.spec.grid
    image_in = split_grids(part.image, grid) if grid else part.image
    source = stack_of(image_in, ndim, fill)
    check_compatible(model, source, config)
    if fill == "nothing":
        check_finite([source])
        if image_in.selection is not None:  # the rest of its box may have holes
            source = stack_of(image_in, ndim, "missing")
    prediction = _allocated(model, image, config, dtype)
    _begin_noisy(prediction)
    if region is not None:
        _put_back(prediction, part)
    arrays = {o: array[part.box] for o, array in prediction.outputs.items()}
    if grid:
        arrays = {o: _zeros(image_in.data.shape, FINE_TYPE) for o in arrays}
        for output, array in arrays.items():
            if output.role in NOISY_AT_FIRST:  # until its grid is denoised
                array[...] = image_in.data
    targets = {o: Stack(a, image_in.axes, ndim) for o, a in arrays.items()}
    yield Allocated(prediction)
    differ = differences(model, part.image, filled=fill != "nothing")
    yield from map(Warned, differ)
    done = yield from denoise_stack(model, source, targets, config, stop=stop)
    if grid:
        _join(prediction, part, arrays, grid)
    if region is not None:
        _put_back(prediction, part)
    if done:
        yield Denoised(prediction)


def _join(
    prediction: Prediction,
    part: Part,
    arrays: Mapping[Output, NDArray[Any]],
    grid: int,
) -> None:
    """Set the outputs to what the estimates of the grids make."""
    for output, array in prediction.outputs.items():
        joined = join_grids(arrays[output], grid, part.image)
        array[part.box] = as_type(joined, array.dtype)


def _begin_noisy(prediction: Prediction) -> None:
    """Put the noisy pixels into estimates and samples, unless these are in a file."""
    data = prediction.source.data
    shown = [a for o, a in prediction.outputs.items() if o.role in NOISY_AT_FIRST]
    for at in np.ndindex(tuple(data.shape[:-2])):
        plane = np.asarray(data[at])
        for array in shown:
            if not isinstance(array, np.memmap):
                array[at] = plane


def _put_back(prediction: Prediction, part: Part) -> None:
    """Set everything outside the selected part to the pixels of the image."""
    image = prediction.source
    y, x = (image.axes.index(a) for a in "YX")
    inside = np.zeros([image.data.shape[i] for i in (y, x)], bool)
    mask = part.image.selection
    inside[part.box[y], part.box[x]] = True if mask is None else mask
    outside = ~(inside if y < x else inside.T)
    planes = (1 if i in (y, x) else n for i, n in enumerate(image.data.shape))
    for at in np.ndindex(*planes):
        plane = tuple(slice(None) if i in (y, x) else n for i, n in enumerate(at))
        pixels = np.asarray(image.data[plane])[outside]
        for output, array in prediction.outputs.items():
            array[plane][outside] = pixels if output.role in NOISY_AT_FIRST else 0


def _allocated(
    model: TrainedModel, image: Image, config: PredictionConfig, dtype: str
) -> Prediction:
    """Return a prediction with outputs of zeros."""
    shape = tuple(image.data.shape)
    outputs = outputs_of(model.method, config)
    n_kept = sum(output.role == "sample" for output in outputs)
    samples = _zeros((n_kept, *shape), result_type(model, image, dtype))
    kept = iter(samples)
    arrays = {
        output: next(kept)
        if output.role == "sample"
        else _zeros(shape, output_type(model, image, dtype, output))
        for output in outputs
    }
    return Prediction(image, arrays, samples)


def output_type(
    model: TrainedModel, image: Image, dtype: str, output: Output
) -> np.dtype[Any]:
    """Return the type of an output: always float32 for spread and derived ones."""
    if output.role in NOISY_AT_FIRST:
        return result_type(model, image, dtype)
    return np.dtype(np.float32)


def result_type(model: TrainedModel, image: Image, dtype: str) -> np.dtype[Any]:
    """Return the type of estimates and samples.

    It is float64 if float32 would show steps, as with a large offset.
    """
    if dtype not in DTYPES:
        raise BadInputError(
            f"type of the results {dtype!r}: expected {' or '.join(DTYPES)}"
        )
    if dtype == "same":
        return np.dtype(image.data.dtype)
    scale = model.spec.results
    levels = zip(scale.mean, scale.std, strict=True)
    coarse = any(np.spacing(np.float32(abs(m))) > FINE * s for m, s in levels)
    return np.dtype("float64" if coarse else dtype)


def _zeros(shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros, in a temporary file if they exceed `IN_MEMORY_LIMIT`.

    The file gets its space on disk at once: access to a part of a map that finds the
    disk full ends the program.
    """
    size = math.prod(shape) * kind.itemsize
    if size <= IN_MEMORY_LIMIT:
        return np.zeros(shape, kind)
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    try:
        if size > free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryFile() as file:  # the map keeps it open
            if hasattr(os, "posix_fallocate"):  # macOS and Windows lack it
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, kind, "w+", shape=shape)
    except OSError as error:
        raise SavingError(
            f"the results take {size / 2**30:.1f} GB, and the temporary folder "
            f"{folder} has {free / 2**30:.1f} GB free ({error.strerror}): keep fewer "
            f"samples, write OME-Zarr ({Remedy.ON_DISK}), or set TMPDIR to a folder "
            "with more space"
        ) from error
