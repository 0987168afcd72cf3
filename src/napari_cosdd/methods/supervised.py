"""The base class of methods that learn from pairs of images."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Curve
from napari_cosdd.methods.base import Method, Preset
from napari_cosdd.methods.outputs import MEAN, Output
from napari_cosdd.methods.unet_config import UNetConfig
from napari_cosdd.methods.values import NO_ASSETS, Assets, Batch, Losses, weighted_mean
from napari_cosdd.settings.training import TrainingConfig

#: Sizes of the papers' U-Net, whose first level has full resolution.
PAPER_SIZES = {"n_channels": 64, "n_levels": 4, "stem_stride": 1}


class SupervisedConfig(UNetConfig):
    """Sizes of the U-Net, and what it minimizes."""

    loss: Literal["mse", "mae"] = Field(
        default="mse",
        title="Loss",
        description="mse: mean squared error, gives the mean of all targets that fit; "
        "mae: mean absolute error, gives their median",
    )


class SupervisedMethod(Method[SupervisedConfig]):
    """A U-Net from the noisy image to its target."""

    Config = SupervisedConfig
    presets: ClassVar = {
        "quick": Preset(SupervisedConfig(), purpose="a laptop, minutes"),
        "paper": Preset(
            SupervisedConfig.model_validate(PAPER_SIZES),
            TrainingConfig(crop_size=128, batch_size=16, max_steps=40_000),
            "a GPU, hours",
        ),
    }
    tiny: ClassVar = {"n_channels": 8, "n_levels": 2}

    def __init__(
        self, config: SupervisedConfig, spec: DataSpec, assets: Assets = NO_ASSETS
    ) -> None:
        super().__init__(config, spec, assets)
        self.net = config.build(spec)

    def losses(
        self, batch: Batch, generator: torch.Generator, progress: float = 1.0
    ) -> Losses:
        """Return the error of the U-Net's estimate against the target."""
        if batch.target is None:
            raise BadInputError(f"{self.title} learns from pairs: give targets, too")
        difference = self.net(batch.x).float() - batch.target
        squared = self.config.loss == "mse"
        error = difference.square() if squared else difference.abs()
        return Losses({"error": weighted_mean(error, batch.weight)}, {})

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The error against the targets."""
        unit = "squared error" if self.config.loss == "mse" else "absolute error"
        return (Curve("error", "error against targets", "Loss", unit),)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The estimate."""
        return (MEAN,)

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the U-Net's estimate of the signal."""
        return {MEAN.name: self.net(x)}

    def tile_multiple(self) -> tuple[int, ...]:
        """Return the stride of the lowest resolution."""
        return self.net.multiple

    def symmetries(self) -> tuple[int, ...]:
        """Return all axes: the target is flipped with the image."""
        return tuple(range(self.spec.ndim))

    def weights_from(self, other: Method[Any]) -> dict[str, Tensor] | None:
        """Return the weights of another model if its network has equal size."""
        own, given = self.state_dict(), other.state_dict()
        fits = own.keys() == given.keys() and all(
            own[key].shape == value.shape for key, value in given.items()
        )
        return dict(given) if fits else None
