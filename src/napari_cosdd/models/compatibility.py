"""Compatibility of a model with an image, and differences from its training data."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_cosdd._formatting import grey_level
from napari_cosdd.datasets.survey import not_finite
from napari_cosdd.errors import BadInputError, BadModelFileError
from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.capabilities import predicts
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.remedies import Remedy
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.settings.training import FEW_STEPS

#: What to make of a model or of a result.
Grade = Literal["no objection", "use with care", "do not use"]
#: Number of sampled planes of an image.
PLANES = 8
#: Number of sampled boxes along each axis of a plane.
BOXES = 4
#: Side of a sampled box, pixels.
SIDE = 256
#: Largest number of sampled pixels that are kept.
PIXELS = 1 << 18
#: Shift of the median from which an image counts as different, in 1 to 99 % ranges of
#: the training data.
SHIFT = 0.5
#: Ratio of these ranges from which an image counts as different.
FACTOR = 2.0
#: How many times as different an image is for which a model is no use.
VERY = 5.0


def check_compatible(
    model: TrainedModel, source: Stack, config: PredictionConfig | None = None
) -> None:
    """Refuse an image or settings that do not fit the model.

    Raises
    ------
    BadModelFileError
        If axes or channels differ.
    BadInputError
        If the settings ask for a direct denoiser that the model lacks, or for the
        brightness of the noisy image where results have that of clean ones.
    """
    if len(source.size) != model.spec.ndim:
        raise BadModelFileError(
            f"the model is for {model.spec.ndim} spatial axes, the image has "
            f"{len(source.size)}"
        )
    if source.n_channels != model.spec.n_channels:
        raise BadModelFileError(
            f"the model is for {model.spec.n_channels} channels, the image has "
            f"{source.n_channels}"
        )
    if config is None:
        return
    if config.keep_brightness and model.spec.targets is not None:
        raise BadInputError(
            "results of this model have the brightness of the clean images that it "
            f"learned from, not of the noisy one: {Remedy.KEEP_BRIGHTNESS}"
        )
    if config.direct and not predicts(model.method):
        raise BadInputError(
            "this model was trained without a direct denoiser; denoise with samples, "
            f"or train again with one ({Remedy.DIRECT_DENOISER})"
        )


class Match(NamedTuple):
    """What speaks for or against a model for an image, before it is used.

    Attributes
    ----------
    grade : {"no objection", "use with care", "do not use"}
        What to make of it, in a word.
    reason : str
        Why, in a sentence.
    """

    grade: Grade
    reason: str


def match_of(model: TrainedModel, image: Image) -> Match:
    """Compare a model with an image that it may denoise; a sample of pixels is read."""
    spec, names = model.spec, model.trained_on.names
    source = Stack(image.data, image.axes, spec.ndim, image.name)
    try:
        check_compatible(model, source)
    except BadModelFileError as error:
        return Match("do not use", _sentence(str(error)))
    pixels = _some_pixels(image)
    finite = pixels[np.isfinite(pixels)]
    if not model.trained_on.levels_1_50_99 or not finite.size:
        reason = "Its training images and this one cannot be compared in brightness."
        return Match("use with care", reason)
    unlike = _unlike_training(model, finite)
    if not unlike and (n := model.n_steps) is not None and n < FEW_STEPS:
        reason = f"It was trained for {n} steps only: train longer, {FEW_STEPS} steps"
        return Match("use with care", f"{reason} at least.")
    if image.name in names and not unlike:
        return Match("no objection", "It was trained on an image of this name.")
    others = f"{', '.join(names[:2])}{' and others' if len(names) > 2 else ''}"
    if unlike:
        reason = _sentence(f"{' and '.join(unlike)} ({others})")
        low, middle, high = model.trained_on.levels_1_50_99
        far = _unlike(finite, low, middle, high, VERY)
        grade: Grade = "do not use" if far else "use with care"
        return Match(
            grade, f"{reason} Train on this image{'' if far else ' if in doubt'}."
        )
    reason = f"It was trained on other images ({others}) of like brightness."
    return Match("no objection", f"{reason} Camera and settings must be the same.")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def refuse_grids(model: TrainedModel, work: str) -> None:
    """Refuse a model that was trained on grids of pixels.

    Raises
    ------
    BadInputError
        If it is one; `work` says what cannot be done with it.
    """
    if model.spec.grid:
        raise BadInputError(
            f"this model was trained on grids of pixels {model.spec.grid} px apart; "
            f"with it, {work}"
        )


def differences(model: TrainedModel, image: Image, *, filled: bool) -> list[str]:
    """Return warnings about missing pixels and differences from the training data.

    A sample of boxes all over the image is examined.

    Parameters
    ----------
    model : TrainedModel
        Holds the 1, 50 and 99 % quantiles of its training data.
    image : Image
        The image to denoise.
    filled : bool
        Whether pixels that are not finite will be filled.

    Returns
    -------
    list of str
        Warnings; empty if the image is similar or the model holds no quantiles.

    Raises
    ------
    BadInputError
        If there are pixels that are not finite and they will not be filled.
    """
    pixels = _some_pixels(image)
    finite = pixels[np.isfinite(pixels)]
    warnings = []
    if finite.size < pixels.size and not filled:
        raise not_finite(pixels.size - finite.size, pixels.size)
    if finite.size < pixels.size:
        warnings.append(
            f"about {100 * (1 - finite.size / pixels.size):.2g} % of the pixels are "
            "missing (NaN); they are filled from their neighbours, and the results at "
            "these pixels are not valid"
        )
    unlike = _unlike_training(model, finite)
    if unlike:
        names = ", ".join(model.trained_on.names[:3])
        warnings.append(
            f"{' and '.join(unlike)} ({names}): the model may not fit; train on this "
            "image if in doubt"
        )
    return warnings


def unlike_training(model: TrainedModel, image: Image) -> list[str]:
    """Describe how the brightness differs from that of the training data."""
    pixels = _some_pixels(image)
    return _unlike_training(model, pixels[np.isfinite(pixels)])


def _unlike_training(model: TrainedModel, finite: NDArray[Any]) -> list[str]:
    levels = model.trained_on.levels_1_50_99
    return _unlike(finite, *levels) if levels and finite.size else []


def _unlike(
    pixels: NDArray[Any], low: float, middle: float, high: float, times: float = 1.0
) -> list[str]:
    """Describe how quantiles differ from those of the training data.

    The limits above which they count as different are `times` the usual ones.
    """
    span = max(high - low, 1e-12)
    levels = np.quantile(pixels, [0.01, 0.5, 0.99])
    ratio = max(float(levels[2] - levels[0]), 1e-12) / span
    unlike = []
    if abs(levels[1] - middle) > times * SHIFT * span:
        unlike.append(
            f"the image's median is {grey_level(levels[1])} grey levels, that of the "
            f"training data {grey_level(middle)}"
        )
    if not 1 / (times * FACTOR) < ratio < times * FACTOR:
        unlike.append(
            f"the image's contrast is {ratio:.2g} times that of the training data"
        )
    return unlike


def _some_pixels(image: Image) -> NDArray[Any]:
    """Return a sample of pixels from all over the image, or its selection."""
    ndim = 2 if "Y" in image.axes else 1
    stack = Stack(image.data, image.axes, ndim, image.name, image.selection)
    boxes = []
    for n, box in stack.boxes(PLANES, BOXES, SIDE):
        pixels, selected = stack.read(n, box), stack.selected(box)
        boxes.append((pixels if selected is None else pixels[..., selected]).ravel())
    values = np.concatenate(boxes)
    return values[:: max(1, values.size // PIXELS)].astype(np.float64)
