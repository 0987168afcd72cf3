"""What a denoising method is to the training, the prediction and the model file.

A method says what it needs and what it gives; the engine never asks for its name.
What a method can do beyond learning is in `capabilities`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import torch
from torch import Tensor, nn

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.events import Curve
from napari_cosdd.images.axes import SPATIAL
from napari_cosdd.methods.capabilities import Predicts, SamplesSignal
from napari_cosdd.methods.values import (
    NO_ASSETS,
    Assets,
    Batch,
    Groups,
    Losses,
    Needs,
    Paper,
    Problem,
    Suitability,
)
from napari_cosdd.nets.ladder_vae import fresh_noise
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.settings.fields import Settings
from napari_cosdd.settings.training import TrainingConfig

#: Samples that the mean of a preview is taken over.
PREVIEW_SAMPLES = 4


class MethodConfig(Settings):
    """Settings of a method: from them its networks can be built again."""

    def resolved(self, facts: NoiseFacts | None) -> Self:
        """Return a copy in which what was left open is decided by the noise.

        Parameters
        ----------
        facts : NoiseFacts or None
            What the noise of the first image is like; None if it was not measured.
        """
        return self

    @property
    def is_open(self) -> bool:
        """Whether something is left for `resolved` to decide from the noise."""
        return False

    def fine_tuning(self) -> Self:
        """Return a copy for networks that begin with trained weights."""
        return self


ConfigT = TypeVar("ConfigT", bound=MethodConfig)


@dataclass(frozen=True)
class Preset:
    """Settings that go together.

    Attributes
    ----------
    settings : MethodConfig
        Of the method.
    training : TrainingConfig
        Of the training.
    purpose : str
        What it is for, in a few words.
    """

    settings: MethodConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    purpose: str = ""


class Trainable(nn.Module, ABC):
    """All that the training loop asks of what it trains."""

    config: Settings
    spec: DataSpec

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

    def criterion(self, losses: Mapping[str, float]) -> float:
        """Return that of validation losses by which the best weights are chosen."""
        return losses["loss"]

    def problem(self, losses: Mapping[str, float]) -> Problem | None:
        """Return why weights with these validation losses are no result, or None."""
        return None

    @property
    def curves(self) -> tuple[Curve, ...]:
        """What is plotted while this is trained."""
        return ()

    def parameter_groups(self) -> Groups:
        """Return the trained parameters by what they know."""
        return Groups([p for p in self.parameters() if p.requires_grad], [])

    def use_checkpointing(self, on: bool) -> None:
        """Compute features again in the backward pass instead of keeping them.

        Slower by about a third, with the same result; may be ignored.
        """
        return


class Method(Trainable, Generic[ConfigT]):
    """A denoising method: its networks, its losses, its words.

    Parameters
    ----------
    config : MethodConfig
        Settings in which nothing is open.
    spec : DataSpec
        Shape and scale of the data.
    assets : Assets
        Noise model and the like, where the method needs them.
    """

    #: Name in titles and sentences.
    title: ClassVar[str]
    Config: ClassVar[type[MethodConfig]]
    presets: ClassVar[Mapping[str, Preset]]
    #: Settings of networks small enough to train in a second, for tests.
    tiny: ClassVar[Mapping[str, Any]]
    needs: ClassVar[Needs] = Needs()
    config: ConfigT

    def __init__(
        self, config: ConfigT, spec: DataSpec, assets: Assets = NO_ASSETS
    ) -> None:
        super().__init__()
        self.config, self.spec = config, spec
        #: Frozen: its tensors are buffers. None where the method needs none.
        self.noise_model = assets.noise_model

    @property
    def assets(self) -> Assets:
        """What this was built with beside its settings."""
        return Assets(self.noise_model)

    @classmethod
    @abstractmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Say whether the method suits such noise, and why."""

    # Geometry -------------------------------------------------------------------

    @abstractmethod
    def tile_multiple(self) -> tuple[int, ...]:
        """Pixels per axis that the size of a tile must be a multiple of."""

    def tile_margin(self) -> tuple[int, ...]:
        """Pixels of context per axis around a tile, before any is measured."""
        return tuple(4 * m if m > 1 else 4 for m in self.tile_multiple())

    @property
    def noise_dim(self) -> int | None:
        """Number of the noise axis among the spatial axes; None if there is none."""
        return None

    @property
    def noise_reach(self) -> int:
        """Pixels along the noise axis whose relation is taken into account."""
        return 0

    def symmetries(self) -> tuple[int, ...]:
        """Spatial axes that may be flipped without changing the law of the noise.

        Along the noise axis a detector's memory has a direction; across it the
        rows are independent.
        """
        return tuple(a for a in range(self.spec.ndim) if a != self.noise_dim)

    @property
    def noise_letter(self) -> Literal["x", "y", "z", "none"]:
        """Letter of the noise axis, or "none"."""
        if self.noise_dim is None:
            return "none"
        letter: Any = SPATIAL[self.spec.ndim][self.noise_dim].lower()
        return letter

    # Training -------------------------------------------------------------------

    def weights_from(self, other: "Method[Any]") -> dict[str, Tensor] | None:
        """Return the weights of another model of this method as they fit this one.

        They may be turned to another noise axis, and some may be missing; None if
        the sizes of the networks differ.
        """
        return None

    def preview(self, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Return images that show how far the training is, by title.

        Parameters
        ----------
        x : Tensor, shape (1, c, *spatial)
            A validation crop.
        generator : torch.Generator
            Source of randomness.
        """
        if isinstance(self, SamplesSignal):
            features, noise = self.encode(x), fresh_noise(generator)
            draws = [
                self.sample_posterior(features, noise).signal
                for _ in range(PREVIEW_SAMPLES)
            ]
            return {"estimate now": torch.stack(draws).mean(0), "one sample": draws[0]}
        if isinstance(self, Predicts):
            return {"estimate now": self.predict(x)[self.outputs[0].name]}
        return {}

    # Words ----------------------------------------------------------------------

    def learned_in_words(self, losses: Mapping[str, float]) -> str:
        """Say what the latents carry by these losses; empty without latents."""
        return ""

    def describe(self) -> str:
        """Say in one line what was built."""
        return self.title

    @abstractmethod
    def papers(self) -> tuple[Paper, ...]:
        """Return what to cite."""

    @abstractmethod
    def networks_in_words(self) -> str:
        """Describe the networks in a sentence, for the methods section of a paper."""
