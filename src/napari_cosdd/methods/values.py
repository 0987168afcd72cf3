"""The values that pass between a method and the engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from napari_cosdd.noise_models.base import NoiseModel


class Paper(NamedTuple):
    """A paper to cite for a method."""

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
        Target of a supervised method, same shape.
    weight : Tensor or None
        0 for filled pixels, which carry no information, else 1; None if all count.
    """

    x: Tensor
    target: Tensor | None = None
    weight: Tensor | None = None


class Losses(NamedTuple):
    """Scalars of one batch.

    Attributes
    ----------
    objectives : mapping
        Scalars to minimize; no parameter has a gradient from two of them.
    metrics : mapping
        Scalars to show and to judge the training by.
    """

    objectives: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor]


class Groups(NamedTuple):
    """Parameters of the signal, and parameters of the noise.

    Images differ less in their signal than in their noise, so fine-tuning keeps the
    parameters of the signal near their start and leaves those of the noise free.
    """

    signal: list[nn.Parameter]
    noise: list[nn.Parameter]


@dataclass(frozen=True)
class Needs:
    """What a method needs beside noisy images.

    Attributes
    ----------
    target : {"none", "clean", "noisy"}
        Kind of a second image of each scene.
    noise_models : frozenset of str
        Accepted kinds of noise models; empty if the method takes none.
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
        Reason for the score, in one sentence.
    """

    score: int
    reason: str


@dataclass(frozen=True)
class Assets:
    """Inputs of a method beside its settings; saved in its model file."""

    noise_model: NoiseModel | None = None


NO_ASSETS = Assets()


class Problem(NamedTuple):
    """Why the present weights are unusable.

    Attributes
    ----------
    name : str
        Name of the problem, such as "the posterior collapsed".
    found : str
        The numbers that show it.
    remedy : str
        What the user can do.
    """

    name: str
    found: str
    remedy: str


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return the weighted mean of the values, a scalar.

    Parameters
    ----------
    values : Tensor, shape (n, c, *spatial)
        A value for each pixel.
    weight : Tensor or None
        As in `Batch`.
    """
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum().clamp(min=1)
