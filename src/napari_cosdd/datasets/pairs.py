"""Pairs of a noisy stack and its target, validated once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.images.stack import Stack


@dataclass(frozen=True)
class Pair:
    """A noisy stack and, for a supervised method, its target.

    Attributes
    ----------
    name : str
        Name of the noisy image.
    noisy : Stack
        The images to denoise.
    target : Stack or None
        The same scene, clean or with other noise, with equal axes and shape.
    """

    name: str
    noisy: Stack
    target: Stack | None = None


def pairs_of(
    images: Sequence[Image],
    targets: Sequence[Image],
    kind: Literal["none", "clean", "noisy"],
    ndim: int,
    fill: Fill,
) -> list[Pair]:
    """Pair each image with its target.

    Parameters
    ----------
    images : sequence of Image
        Noisy.
    targets : sequence of Image
        One for each image in the same order; empty where `kind` is "none".
    kind : {"none", "clean", "noisy"}
        The kind of target that the method needs.
    ndim : {1, 2, 3}
        Number of spatial axes.
    fill : {"nothing", "missing", "outliers"}
        Pixels to fill: those that are not finite, or outliers as well; filled pixels
        have no weight in training.

    Raises
    ------
    BadInputError
        If targets are missing, not used by the method, or do not fit their images.
    """
    noisy = [stack_of(image, ndim, fill) for image in images]
    names = [image.name for image in images]
    if kind == "none":
        if targets:
            raise BadInputError(
                "this method learns from noisy images alone, not from targets"
            )
        return [Pair(name, stack) for name, stack in zip(names, noisy, strict=True)]
    if len(targets) != len(images):
        wanted = "a clean image" if kind == "clean" else "a second noisy image"
        raise BadInputError(
            f"this method needs {wanted} of each scene as its target: got "
            f"{len(images)} images and {len(targets)} targets"
        )
    pairs = []
    for name, stack, image, target in zip(names, noisy, images, targets, strict=True):
        if target.axes != image.axes or target.data.shape != image.data.shape:
            raise BadInputError(
                f"{target.name} has axes {target.axes} and shape "
                f"{tuple(target.data.shape)}, but its image {name} has {image.axes} "
                f"{tuple(image.data.shape)}; both must be equal"
            )
        pairs.append(Pair(name, stack, stack_of(target, ndim, fill)))
    return pairs
