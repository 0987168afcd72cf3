"""What a denoising method is to the trainer, the denoiser and the model file."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import SPATIAL, NoiseAxis
from napari_cosdd.methods.papers import Paper
from napari_cosdd.nets.ladder_vae import LatentNoise


class Batch(NamedTuple):
    """Crops to learn from.

    Attributes
    ----------
    x : Tensor, shape (n, c, *spatial)
        Noisy, normalized.
    target : Tensor or None
        What a supervised method is to reach, same shape.
    """

    x: Tensor
    target: Tensor | None = None


class Losses(NamedTuple):
    """Scalars of one batch.

    Attributes
    ----------
    objectives : mapping
        Minimized, by parameter group; their gradients do not overlap.
    metrics : mapping
        Only shown and judged.
    """

    objectives: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor]


#: Names of noise axes in sentences.
AXES_IN_WORDS = {"x": "rows (x)", "y": "columns (y)", "z": "the z axis"}


class MethodConfig(BaseModel):
    """Settings of a method: from them its networks can be built again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_axis: NoiseAxis = Field(
        default="auto",
        title="Noise axis",
        description="Axis along which the noise is correlated: x along rows, "
        "y along columns, none for independent pixels, auto to measure it",
    )
    receptive_field: int | None = Field(
        default=None,
        title="Receptive field",
        ge=0,
        le=512,
        description="Pixels along the noise axis whose noise is related; empty: "
        "measured",
        json_schema_extra={"unit": "px"},
    )

    def resolved(self, axis: NoiseAxis, receptive_field: int) -> Self:
        """Return a copy in which what was left open is filled in."""
        chosen = axis if self.noise_axis == "auto" else self.noise_axis
        reach = self.receptive_field
        if reach is None:
            reach = 0 if chosen == "none" else receptive_field
        return self.model_copy(update={"noise_axis": chosen, "receptive_field": reach})

    def adapting(self) -> Self:
        """Return a copy for networks that begin with trained weights."""
        return self


class Method(nn.Module, ABC):
    """A denoising method: its networks, its losses, its estimate of the signal.

    Parameters
    ----------
    config : MethodConfig
        Resolved settings: noise axis and receptive field are known.
    spec : DataSpec
        Shape and scale of the data.
    """

    title: ClassVar[str]
    Config: ClassVar[type[MethodConfig]]
    presets: ClassVar[Mapping[str, Mapping[str, Mapping[str, Any]]]]
    config: MethodConfig

    def __init__(self, config: MethodConfig, spec: DataSpec) -> None:
        super().__init__()
        if config.noise_axis == "auto" or config.receptive_field is None:
            raise BadInputError("the noise axis must be resolved before building")
        self.spec = spec

    @abstractmethod
    def losses(
        self, batch: Batch, generator: torch.Generator, progress: float = 1.0
    ) -> Losses:
        """Return what to minimize and what to show.

        Parameters
        ----------
        batch : Batch
            Crops.
        generator : torch.Generator
            Source of all randomness, on the device of the batch.
        progress : float
            Share of the training done, for warm-ups; 1 at validation.
        """

    def signal_and_rest(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the parameters that know the signal, and those that know the noise.

        Signals resemble each other more than noises do: trained networks of the
        first kind are worth keeping.
        """
        return list(self.parameters()), []

    def save_memory(self, on: bool) -> None:
        """Compute features again in the backward pass instead of keeping them.

        Slower by about a third, with the same result; methods may ignore it.
        """
        return

    @abstractmethod
    def estimate(self, x: Tensor) -> Tensor:
        """Return a point estimate of the signal in one pass, shape of `x`."""

    @property
    def has_estimate(self) -> bool:
        """Whether `estimate` can be called on this model."""
        return True

    @abstractmethod
    def tile_multiple(self) -> tuple[int, ...]:
        """Pixels per axis that the size of a tile must be a multiple of."""

    def tile_margin(self) -> tuple[int, ...]:
        """Pixels of context per axis around a tile, before any is measured."""
        return tuple(4 * m if m > 1 else 4 for m in self.tile_multiple())

    def symmetries(self) -> tuple[int, ...]:
        """Spatial axes that may be flipped without changing the law of the noise.

        Along the noise axis a detector's memory has a direction; across it the
        rows are independent.
        """
        return tuple(a for a in range(self.spec.ndim) if a != self.noise_dim)

    @property
    def noise_dim(self) -> int | None:
        """Number of the noise axis among the spatial ones, or None."""
        letter = self.config.noise_axis
        if letter == "none":
            return None
        axes = SPATIAL[self.spec.ndim].lower()
        if letter not in axes:
            raise BadInputError(
                f"noise axis {letter!r} is not among the spatial axes {axes!r}"
            )
        return axes.index(letter)

    @property
    def noise_reach(self) -> int:
        """Earlier pixels along the noise axis that are taken into account."""
        return self.config.receptive_field or 0

    def weights_from(self, other: "Method") -> dict[str, Tensor] | None:
        """Return the weights of another model of this method as they fit this one.

        They may be turned to another noise axis, and some may be missing; None if
        the sizes of the networks differ.
        """
        return None

    def collapsed(self, losses: Mapping[str, float]) -> bool:
        """Tell from validation losses whether the model has stopped learning."""
        return False

    def criterion(self, losses: Mapping[str, float]) -> float:
        """Return that of validation losses by which the best weights are chosen."""
        return losses["loss"]

    def describe(self) -> str:
        """Say in one line what was built."""
        return self.title

    @abstractmethod
    def papers(self) -> tuple[Paper, ...]:
        """Return what to cite."""

    @abstractmethod
    def networks_in_words(self) -> str:
        """Describe the networks in a sentence, for the methods section of a paper."""


class GenerativeMethod(Method):
    """A method that draws clean images from p(s | x)."""

    @abstractmethod
    def encode(self, x: Tensor) -> list[Tensor]:
        """Return what all samples of `x` share: the bottom-up features."""

    @abstractmethod
    def sample_posterior(self, features: list[Tensor], noise: LatentNoise) -> Tensor:
        """Return a clean image per set of features, (n, c, *spatial)."""

    @abstractmethod
    def sample_noise(
        self, features: list[Tensor], noise: LatentNoise, generator: torch.Generator
    ) -> Tensor:
        """Return noisy images of the same signal with fresh noise."""

    @abstractmethod
    def quantiles(self, x: Tensor, noise: LatentNoise) -> Tensor:
        """Return P(X_i <= x_i | pixels before it, z) with z from q(z|x), shape of `x`.

        Uniform and independent if signal and noise were learned.
        """

    @abstractmethod
    def sample_prior(
        self,
        n: int,
        size: Sequence[int],
        noise: LatentNoise,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return `n` new clean images and the same images with noise."""
