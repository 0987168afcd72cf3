"""The images of a training: selected, paired, validated, and read once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from napari_cosdd.datasets.pairs import Pair, pairs_of
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.survey import Survey, check_channels
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.filling import Fill, too_many
from napari_cosdd.images.grids import split_grids
from napari_cosdd.images.image import Image, doubts_of
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.images.selection import Selected, part_of
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.values import Needs
from napari_cosdd.models.compatibility import check_compatible
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.training.loading import load

#: Images of a stack whose pixels are compared to find equal ones.
SOME_IMAGES = 2
#: Boxes along each axis of such an image.
SOME_BOXES = 2
#: Side of such a box, pixels.
SOME_SIDE = 16


class Sources(NamedTuple):
    """The images that a training is given.

    Attributes
    ----------
    images : sequence of Image
        Noisy.
    targets : sequence of Image
        One for each image, if the method learns from pairs.
    validation, validation_targets : sequence of Image
        The same to validate on; empty: a part of the images is held out.
    """

    images: Sequence[Image]
    targets: Sequence[Image] = ()
    validation: Sequence[Image] = ()
    validation_targets: Sequence[Image] = ()


class Reading(NamedTuple):
    """How the images are read.

    Attributes
    ----------
    ndim : {1, 2, 3}
        Number of spatial axes.
    fill : {"nothing", "missing", "outliers"}
        Pixels to fill.
    region : rectangle, mask or file, or None
        The part of every image to learn from.
    grid : int
        Distance of the pixels that are learned from together.
    """

    ndim: int
    fill: Fill
    region: Selected | None
    grid: int


@dataclass(frozen=True)
class TrainingData:
    """The images of a training.

    Attributes
    ----------
    images : sequence of Image
        Those to learn from, the selected parts of them.
    pairs, held_out : sequence of Pair
        What to learn from, and what to validate on instead of parts of it.
    spec : DataSpec
        Their description for the networks.
    survey : Survey
        What was seen when all pixels were read.
    validated_on : str
        Hash of the pixels of `held_out`; empty if there are none.
    targets_sha256 : str
        Hash of the pixels of all targets; empty if there are none.
    """

    images: Sequence[Image]
    pairs: Sequence[Pair]
    held_out: Sequence[Pair]
    spec: DataSpec
    survey: Survey
    validated_on: str = ""
    targets_sha256: str = ""

    @property
    def stacks(self) -> list[Stack]:
        """The noisy images to learn from."""
        return [pair.noisy for pair in self.pairs]

    def warnings(self) -> Iterator[str]:
        """Yield warnings for the user about the images."""
        found = self.survey
        yield from filter(None, (found.saturation(), found.filled(), found.outliers()))
        yield from filter(None, [too_many(self.stacks)])
        yield from doubts_of(self.images)


def read_data(
    sources: Sources,
    reading: Reading,
    needs: Needs,
    init_model: TrainedModel | None,
    stop: Callable[[], bool],
) -> TrainingData:
    """Select, pair and validate the images of a training.

    Parameters
    ----------
    sources : Sources
        The images as given.
    reading : Reading
        How to read them.
    needs : Needs
        Those of the method.
    init_model : TrainedModel, optional
        Its description of the data is taken.
    stop : callable
        Polled while the images are read.

    Raises
    ------
    BadInputError
        If an image is unusable, or images do not go together.
    StoppedError
        If `stop` returned True.
    """
    _check_others(sources, reading.ndim)
    if reading.region is not None:
        images, targets = (
            [part_of(image, reading.region).image for image in several]
            for several in sources[:2]
        )
        sources = sources._replace(images=images, targets=targets)
    if reading.grid > 1:
        split = ([split_grids(i, reading.grid) for i in several] for several in sources)
        sources = Sources(*split)
    how = needs.target, reading.ndim, reading.fill
    pairs = pairs_of(sources.images, sources.targets, *how)
    held_out = pairs_of(sources.validation, sources.validation_targets, *how)
    every = [*pairs, *held_out]
    check_channels([pair.noisy for pair in every], [pair.name for pair in every])
    if init_model is not None:
        check_compatible(init_model, pairs[0].noisy)
    load([s for p in every for s in (p.noisy, p.target) if s is not None], stop)
    survey, others, of_targets = Survey(), Survey(), Survey()
    scale, scale_of_targets = _scales(pairs, survey, of_targets, stop)
    if held_out:
        _scales(held_out, others, of_targets, stop)  # refuses what cannot be used
    if init_model is not None:
        spec = init_model.spec
    else:
        clean = needs.target == "clean"
        spec = _spec(pairs, scale, scale_of_targets if clean else None, reading.grid)
    validated_on = others.sha256 if held_out else ""
    targets_sha256 = of_targets.sha256 if of_targets.n_pixels else ""
    return TrainingData(
        sources.images, pairs, held_out, spec, survey, validated_on, targets_sha256
    )


def _check_others(sources: Sources, ndim: int) -> None:
    """Refuse images to validate on that are also trained on.

    They are found by some of their pixels.
    """
    if not sources.validation:
        return
    known = {_some_pixels(image, ndim) for image in sources.images}
    for image in sources.validation:
        if _some_pixels(image, ndim) in known:
            raise BadInputError(
                f"{image.name} is also trained on: validate on other images, or let a "
                "part of the images be held out"
            )


def _some_pixels(image: Image, ndim: int) -> bytes:
    """Return pixels of some places; equal images have the same."""
    stack = stack_of(image, ndim, "nothing")
    boxes = stack.boxes(SOME_IMAGES, SOME_BOXES, SOME_SIDE)
    return b"".join(stack.read(n, region).tobytes() for n, region in boxes)


def _scales(
    pairs: Sequence[Pair],
    survey: Survey,
    of_targets: Survey,
    stop: Callable[[], bool],
) -> tuple[Normalization, Normalization | None]:
    """Read all pixels; return the scale of the images, and that of their targets."""
    noisy = Normalization.fit(survey.read([pair.noisy for pair in pairs], stop))
    targets = [pair.target for pair in pairs if pair.target is not None]
    if not targets:
        return noisy, None
    return noisy, Normalization.fit(of_targets.read(targets, stop))


def _spec(
    pairs: Sequence[Pair],
    normalization: Normalization,
    results: Normalization | None,
    grid: int,
) -> DataSpec:
    """Describe the data; `results` is the scale of clean targets, if there are any."""
    stack = pairs[0].noisy
    return DataSpec(
        ndim=len(stack.size),
        n_channels=stack.n_channels,
        normalization=normalization,
        grey_step=1.0 if np.dtype(stack.data.dtype).kind in "ui" else 0.0,
        targets=results,
        grid=grid if grid > 1 else None,
    )
