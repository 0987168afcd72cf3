"""The values that pass between a method and the engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from napari_cosdd.noise_models.base import NoiseModel


class Paper(NamedTuple):
    """What to cite for a method."""

    text: str
    doi: str

    def __str__(self) -> str:
        return f"{self.text} doi:{self.doi}"


class Batch(NamedTuple):
    """Crops to learn from.

    Attributes
    ----------
    x : Tensor, shape (n, c, *spatial)
        Noisy, normalized.
    target : Tensor or None
        What a supervised method learns to predict, same shape.
    weight : Tensor or None
        0 where a pixel was filled in and says nothing, else 1; None: all count.
    """

    x: Tensor
    target: Tensor | None = None
    weight: Tensor | None = None


class Losses(NamedTuple):
    """Scalars of one batch.

    Attributes
    ----------
    objectives : mapping
        Minimized, by parameter group; their gradients do not overlap.
    metrics : mapping
        Shown and judged, not minimized.
    """

    objectives: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor]


class Groups(NamedTuple):
    """Parameters that know the signal, and those that know the noise.

    Signals resemble each other more than noises do, so trained parameters of the
    first kind are kept close to where they start, those of the second are not.
    """

    signal: list[nn.Parameter]
    noise: list[nn.Parameter]


@dataclass(frozen=True)
class Needs:
    """What a method needs beside noisy images.

    Attributes
    ----------
    target : {"none", "clean", "noisy"}
        A second image of each scene: none, a clean one, or another noisy one.
    noise_models : frozenset of str
        Kinds of noise models that serve; empty: the method takes none.
    psf : bool
        Whether it needs the point spread function.
    noise_axis : bool
        Whether its settings name the axis along which the noise is correlated.
    """

    target: Literal["none", "clean", "noisy"] = "none"
    noise_models: frozenset[str] = frozenset()
    psf: bool = False
    noise_axis: bool = False


class Suitability(NamedTuple):
    """Whether a method suits the noise of an image.

    Attributes
    ----------
    score : int
        3 the best choice, 2 suits, 1 possible, 0 does not suit.
    reason : str
        Why, in one sentence.
    """

    score: int
    reason: str


@dataclass(frozen=True)
class Assets:
    """What a method is given beside its settings; saved inside its model file."""

    noise_model: NoiseModel | None = None


NO_ASSETS = Assets()


class Problem(NamedTuple):
    """Why the present weights are no result.

    Attributes
    ----------
    name : str
        What happened, such as "the posterior collapsed".
    found : str
        The numbers that show it.
    remedy : str
        What the user can do.
    """

    name: str
    found: str
    remedy: str


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return the mean of the values that count, a scalar.

    Parameters
    ----------
    values : Tensor, shape (n, c, *spatial)
        Of each pixel.
    weight : Tensor of the shape of `values`, or None
        0 where a value does not count: as in `Batch`, times a mask of targets if a
        method has one.
    """
    if weight is None:
        return values.mean()
    weight = weight.expand_as(values)
    return (values * weight).sum() / weight.sum().clamp(min=1)
