"""The values that pass between a method and the engine."""

from collections.abc import Callable, Mapping
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

    @property
    def counting(self) -> Tensor | int:
        """Number of values that count."""
        return self.x.numel() if self.weight is None else self.weight.sum()

    def part(self, which: slice) -> "Batch":
        """Return some of the crops."""
        return self.map(lambda values: values[which])

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with `change` applied to each tensor."""
        target = None if self.target is None else change(self.target)
        weight = None if self.weight is None else change(self.weight)
        return Batch(change(self.x), target, weight)

    def copy_(self, other: "Batch") -> None:
        """Copy the values of a batch of the same shapes into this one."""
        for mine, given in zip(self, other, strict=True):
            if mine is not None and given is not None:
                mine.copy_(given)


class Moment(NamedTuple):
    """How far a training is.

    Attributes
    ----------
    step : int
        Steps since the weights were new: since the start, or the last fresh start.
    steps : int
        Steps of the training at most; very large where only time limits it.
    share : float
        Share of the training done, by steps or time, 0 to 1.
    restarts : int
        Fresh starts so far, each after a problem.
    """

    step: int
    steps: int
    share: float
    restarts: int = 0


class Stage(NamedTuple):
    """How the losses of a step differ from those of a trained method.

    Attributes
    ----------
    name : str
        Kind of step. Steps of one name compute the same operations, so that a GPU may
        record them once.
    weights : tuple of float or of Tensor
        Factors that change from step to step, such as the weights of KL terms.
    """

    name: str = ""
    weights: tuple[float, ...] | tuple[Tensor, ...] = ()


#: The losses of a trained method.
TRAINED = Stage()


class Losses(NamedTuple):
    """Scalars of one batch.

    Attributes
    ----------
    objectives : mapping
        Minimized, by name; the gradient is that of their sum.
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
    learns_noise : bool
        Whether it can learn a noise model along if none is given.
    noise_axis : bool
        Whether its settings name the axis along which the noise is correlated.
    psf : bool
        Whether its settings name the width of the point spread function.
    """

    target: Literal["none", "clean", "noisy"] = "none"
    noise_models: frozenset[str] = frozenset()
    learns_noise: bool = False
    noise_axis: bool = False
    psf: bool = False


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
    """What a method is given beside its settings, and copies into its model."""

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
