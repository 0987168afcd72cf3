"""What methods share that learn from pairs of images: a U-Net and a loss."""

from typing import ClassVar, Literal

import torch
from pydantic import Field

from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Curve
from napari_cosdd.methods.base import Preset
from napari_cosdd.methods.unet_method import UNetConfig, UNetMethod
from napari_cosdd.methods.values import TRAINED, Batch, Losses, Stage, weighted_mean
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


class SupervisedMethod(UNetMethod[SupervisedConfig]):
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

    def losses(
        self, batch: Batch, generator: torch.Generator, stage: Stage = TRAINED
    ) -> Losses:
        """Return the error of the U-Net's estimate against the target."""
        if batch.target is None:
            raise BadInputError(
                f"{self.title} needs a target for each image; give the targets"
            )
        difference = self.net(batch.x).float() - batch.target
        squared = self.config.loss == "mse"
        error = difference.square() if squared else difference.abs()
        return Losses({"error": weighted_mean(error, batch.weight)}, {})

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The error against the targets."""
        unit = "squared error" if self.config.loss == "mse" else "absolute error"
        return (Curve("error", "error against targets", "Loss", unit),)

    def symmetries(self) -> tuple[int, ...]:
        """All axes: the target is flipped with the image."""
        return tuple(range(self.spec.ndim))
