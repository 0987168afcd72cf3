"""The interface of a denoising method to training, prediction and model file.

A method declares its needs and outputs; the engine never depends on its name. The
abilities of a trained method are in `capabilities`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
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
    TRAINED,
    Assets,
    Batch,
    Groups,
    Losses,
    Moment,
    Needs,
    Paper,
    Problem,
    Stage,
    Suitability,
)
from napari_cosdd.nets.ladder_vae import fresh_noise
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.settings.fields import Settings
from napari_cosdd.settings.training import TrainingConfig

#: Number of posterior samples in the mean of a preview: few, as previews are frequent.
PREVIEW_SAMPLES = 4


class MethodConfig(Settings):
    """Settings of a method; they suffice to rebuild its networks."""

    def resolved(self, facts: NoiseFacts | None) -> Self:
        """Return a copy in which the noise decides all open settings.

        Parameters
        ----------
        facts : NoiseFacts or None
            Facts about the noise of the first image; None if not measured.
        """
        return self

    @property
    def is_open(self) -> bool:
        """Whether a setting is open, for `resolved` to decide."""
        return False

    def fine_tuning(self) -> Self:
        """Return a copy for networks that start from trained weights."""
        return self


ConfigT = TypeVar("ConfigT", bound=MethodConfig)


@dataclass(frozen=True)
class Preset:
    """A named set of settings.

    Attributes
    ----------
    settings : MethodConfig
        Settings of the method.
    training : TrainingConfig
        Settings of the training.
    purpose : str
        Hardware and time, or kind of noise, in a few words.
    """

    settings: MethodConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)
    purpose: str = ""


class Trainable(nn.Module, ABC):
    """The interface that the training loop requires."""

    config: Settings
    spec: DataSpec

    @abstractmethod
    def losses(
        self, batch: Batch, generator: torch.Generator, stage: Stage = TRAINED
    ) -> Losses:
        """Return the objectives to minimize and the metrics to show.

        Parameters
        ----------
        batch : Batch
            Crops.
        generator : torch.Generator
            Source of all randomness, on the device of the batch.
        stage : Stage
            From `stage`; at validation, that of a trained method.
        """

    def stage(self, moment: Moment) -> Stage:
        """Return how the losses differ at this moment from those at the end."""
        return TRAINED

    def criterion(self, losses: Mapping[str, float]) -> float:
        """Return the number whose minimum over validations selects the best weights."""
        return losses["loss"]

    def problem(self, losses: Mapping[str, float]) -> Problem | None:
        """Return why weights with these validation losses are unusable, or None."""
        return None

    @property
    def curves(self) -> tuple[Curve, ...]:
        """Losses and metrics that are plotted during training."""
        return ()

    def parameter_groups(self) -> Groups:
        """Return the trainable parameters, those of the signal and of the noise."""
        return Groups([p for p in self.parameters() if p.requires_grad], [])

    def use_checkpointing(self, on: bool) -> None:
        """Recompute features in the backward pass instead of keeping them.

        This takes about a third longer, with the same result. A method may ignore it.
        """
        return


class Method(Trainable, Generic[ConfigT]):
    """A denoising method: its networks, its losses, its words.

    Parameters
    ----------
    config : MethodConfig
        Settings, none of them open.
    spec : DataSpec
        Shape and scale of the data.
    assets : Assets
        Noise model, if the method needs one.
    """

    #: Name of the method in titles and sentences.
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
        #: A copy, which moves to the method's device; None if the method needs none.
        #: Its tensors are buffers, so it is not trained.
        self.noise_model = deepcopy(assets.noise_model)

    @property
    def assets(self) -> Assets:
        """What the method was built with beside its settings."""
        return Assets(self.noise_model)

    @classmethod
    @abstractmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Return how well the method suits such noise, and why."""

    # Geometry -------------------------------------------------------------------

    @abstractmethod
    def tile_multiple(self) -> tuple[int, ...]:
        """Return the pixels per axis of which tile sizes must be multiples."""

    def tile_margin(self) -> tuple[int, ...]:
        """Return the context around a tile in pixels per axis, if none is measured."""
        return tuple(4 * m if m > 1 else 4 for m in self.tile_multiple())

    @property
    def noise_dim(self) -> int | None:
        """Index of the noise axis among the spatial axes; None if there is none."""
        return None

    @property
    def noise_reach(self) -> int:
        """Distance along the noise axis up to which correlation is modelled, pixels."""
        return 0

    def symmetries(self) -> tuple[int, ...]:
        """Return the spatial axes whose flip keeps the distribution of the noise.

        The noise axis is excluded, since a detector's memory has a direction along it.
        Across it, rows have independent noise.
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
        """Return the weights of another model of this method, adapted to this one.

        They may be transposed to another noise axis, and some may be missing. None if
        the sizes of the networks differ.
        """
        return None

    def preview(self, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Return images by title that show the progress of the training.

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
        """Say what the latents carry according to the losses; empty without latents."""
        return ""

    def describe(self) -> str:
        """Describe the method in one line."""
        return self.title

    @abstractmethod
    def papers(self) -> tuple[Paper, ...]:
        """Return the papers to cite."""

    @abstractmethod
    def networks_in_words(self) -> str:
        """Describe the networks in a sentence, for the methods section of a paper."""
