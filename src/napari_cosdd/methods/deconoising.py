"""DecoNoising: Noise2Void through the point spread function of the microscope.

Goncharova et al., "Improving Blind Spot Denoising for Microscopy", ECCV workshops 2020
(arXiv 2008.08414).
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from napari_cosdd.events import Curve
from napari_cosdd.methods.base import Preset
from napari_cosdd.methods.blind_spot import neighbours, point_targets, steps_around
from napari_cosdd.methods.outputs import MEAN, Output
from napari_cosdd.methods.unet_method import UNetConfig, UNetMethod
from napari_cosdd.methods.values import (
    TRAINED,
    Batch,
    Losses,
    Needs,
    Paper,
    Stage,
    Suitability,
    weighted_mean,
)
from napari_cosdd.nets.blur import gaussian_blur
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.remedies import Remedy
from napari_cosdd.settings.training import TrainingConfig

PAPER = Paper(
    "A. S. Goncharova, A. Honigmann, F. Jug and A. Krull, Improving Blind Spot "
    "Denoising for Microscopy, ECCV Workshops 2020.",
    "10.48550/arXiv.2008.08414",
)
#: The image before the blur of the microscope, as the network draws it.
DECONVOLVED = Output("deconvolved", "derived", "levels")


class DecoNoisingConfig(UNetConfig):
    """The U-Net, the point spread function and the pull to positive values."""

    psf: float = Field(
        default=1.0,
        gt=0,
        le=20,
        title="PSF",
        description="Deviation of the Gaussian that stands for the point spread "
        "function in y and x, from the optics or from beads "
        f"({Remedy.PSF})",
        json_schema_extra={"unit": "px"},
    )
    positivity: float = Field(
        default=1.0,
        ge=0,
        le=100,
        title="Positivity",
        description="Weight of the penalty on negative grey levels of the "
        "deconvolved image; 0: none, as for images whose background is not zero",
    )
    masked: float = Field(
        default=0.02,
        gt=0,
        le=0.2,
        title="Targets",
        description="Share of pixels that are targets",
    )


class DecoNoising(UNetMethod[DecoNoisingConfig]):
    """Predicts a sharp image whose blur predicts hidden pixels.

    No image of the microscope is sharper than its point spread function, so that the
    blur keeps noise of single pixels out of the estimate.

    Objective (equation 3): `masked_mse`, the squared error of the blurred image at
    hidden pixels, + positivity · mean max(0, -z), z in deviations of the image.
    """

    title = "DecoNoising"
    Config = DecoNoisingConfig
    needs = Needs(psf=True)
    presets: ClassVar = {
        "quick": Preset(
            DecoNoisingConfig(), TrainingConfig(max_steps=6000), "a laptop, minutes"
        ),
        "paper": Preset(
            DecoNoisingConfig(n_channels=64, stem_stride=1, masked=0.03125),
            TrainingConfig(
                crop_size=96, batch_size=20, learning_rate=0.001, max_steps=20_000
            ),
            "a GPU, an hour",
        ),
    }
    tiny: ClassVar = {"n_channels": 8, "n_levels": 2}

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Independent noise on images that a microscope has blurred."""
        if facts.pattern == "independent" or facts.weak:
            return Suitability(
                1, "DecoNoising fits if the point spread function is known."
            )
        return Suitability(0, "DecoNoising takes noise as independent.")

    def losses(
        self, batch: Batch, generator: torch.Generator, stage: Stage = TRAINED
    ) -> Losses:
        """Return the error at hidden pixels, and the penalty on negative values."""
        x = batch.x
        targets = point_targets(x, self.config.masked, generator)
        around = neighbours(x, steps_around(self.spec.ndim), generator)
        sharp = self.net(torch.where(targets, around, x)).float()
        weight = targets.expand_as(x).float()
        weight = weight if batch.weight is None else weight * batch.weight
        error = (self.blurred(sharp) - x).square()
        objectives = {"masked_mse": (error * weight).sum() / weight.sum().clamp(min=1)}
        negative = F.relu(-self.spec.to_grey(sharp)) / self.spec.scale(sharp)
        penalty = weighted_mean(negative, batch.weight)
        if self.config.positivity:
            objectives["negative"] = self.config.positivity * penalty
        return Losses(objectives, {})

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The error at masked pixels, and the penalty."""
        error = Curve("masked_mse", "masked error", "Loss", "squared error")
        penalty = Curve("negative", "negative values", "Loss", "deviations")
        return (error, penalty) if self.config.positivity else (error,)

    def blurred(self, sharp: Tensor) -> Tensor:
        """Return an image after the point spread function, mirrored at its borders."""
        width = self.spec.in_network_pixels(self.config.psf)
        return gaussian_blur(sharp, width, range(max(2, sharp.ndim - 2), sharp.ndim))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The denoised image, and the deconvolved one."""
        return (MEAN, DECONVOLVED)

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the blurred and the sharp image."""
        sharp = self.net(x).float()
        return {MEAN.name: self.blurred(sharp), DECONVOLVED.name: sharp}

    # Words ----------------------------------------------------------------------

    def describe(self) -> str:
        """Name the point spread function."""
        return f"DecoNoising with a Gaussian point spread of {self.config.psf:g} px"

    def papers(self) -> tuple[Paper, ...]:
        """Return the paper of the method."""
        return (PAPER,)

    def networks_in_words(self) -> str:
        """Describe network and blur in a sentence."""
        return (
            "A U-Net predicted a sharp image from surroundings of pixels, so that the "
            f"image, blurred by a Gaussian of {self.config.psf:g} pixels, agrees with "
            "hidden pixels; the blurred image is the estimate."
        )
