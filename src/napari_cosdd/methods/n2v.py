"""Noise2Void with point masks, and structured Noise2Void with wider ones.

Krull et al., "Noise2Void", CVPR 2019; Broaddus et al., "Removing structured noise
with self-supervised blind-spot networks", ISBI 2020.
"""

import math
from collections.abc import Mapping
from itertools import product
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from napari_cosdd.events import Curve
from napari_cosdd.methods.base import Preset
from napari_cosdd.methods.blind_spot import NEIGHBOURHOOD, neighbours, point_targets
from napari_cosdd.methods.noise_axis import (
    AXES_IN_WORDS,
    NoiseAxisConfig,
    NoiseAxisMethod,
)
from napari_cosdd.methods.unet_method import UNetConfig, UNetMethod
from napari_cosdd.methods.values import (
    TRAINED,
    Batch,
    Losses,
    Needs,
    Paper,
    Stage,
    Suitability,
)
from napari_cosdd.noise_analysis.facts import NoiseFacts

POINT_MASKS = Paper(
    "A. Krull, T.-O. Buchholz and F. Jug, Noise2Void - Learning Denoising from "
    "Single Noisy Images, CVPR 2019.",
    "10.1109/CVPR.2019.00223",
)
LINE_MASKS = Paper(
    "C. Broaddus, A. Krull, M. Weigert, U. Schmidt and G. Myers, Removing "
    "Structured Noise with Self-Supervised Blind-Spot Networks, ISBI 2020.",
    "10.1109/ISBI45749.2020.9098336",
)
#: Pixels that the paper of line masks hides on each side.
PAPER_REACH = 4


class Noise2VoidConfig(NoiseAxisConfig, UNetConfig):
    """The mask and the size of the U-Net."""

    former_names: ClassVar[Mapping[str, str]] = {"half_length": "receptive_field"}

    receptive_field: int | None = Field(
        default=PAPER_REACH,
        ge=1,
        le=4096,
        title="Mask half-length",
        description="Pixels masked on each side along the noise axis; a number "
        "larger than the image masks whole lines. Crosses and squares, and lines of "
        "one-dimensional data, are as wide as half a crop at most. Unused for noise "
        "axis none",
        json_schema_extra={"unit": "px", "empty": "measured"},
    )
    mask_shape: Literal["line", "cross", "square"] = Field(
        default="line",
        title="Mask shape",
        description="What is hidden around a target: a line along the noise axis, a "
        "cross or a square of that half-length for noise along both axes",
    )
    masked: float = Field(
        default=0.02,
        gt=0,
        le=0.2,
        title="Targets",
        description="Share of pixels that are targets; fewer where lines are masked",
    )

    def resolved(self, facts: NoiseFacts | None) -> Self:
        """Return a copy whose mask, where it is open, reaches as far as the noise."""
        if self.receptive_field is None:
            reach = 0 if facts is None else facts.reach
            update = {"receptive_field": reach or PAPER_REACH}
            return self.model_copy(update=update).resolved(facts)
        return super().resolved(facts)


class Noise2Void(UNetMethod[Noise2VoidConfig], NoiseAxisMethod[Noise2VoidConfig]):
    """Predict pixels from their surroundings, which carry none of their noise.

    A point mask hides the pixel only and so assumes independent noise; a line mask
    (SN2V) also hides the neighbours whose noise is related, a cross or a square those
    along both axes.
    """

    title = "Noise2Void"
    Config = Noise2VoidConfig
    needs = Needs(noise_axis=True)
    presets: ClassVar = {
        "quick": Preset(Noise2VoidConfig(), purpose="a laptop, minutes"),
        "point": Preset(
            Noise2VoidConfig(noise_axis="none"), purpose="independent noise"
        ),
    }
    tiny: ClassVar = {
        "n_channels": 8,
        "n_levels": 2,
        "noise_axis": "x",
        "receptive_field": 4,
    }

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Independent noise with point masks, noise along one axis with lines."""
        if facts.pattern == "independent" or facts.weak:
            return Suitability(2, "Noise2Void with point masks fits.")
        if facts.pattern == "one axis":
            return Suitability(1, "Noise2Void with line masks (SN2V) fits.")
        if facts.pattern == "both axes":
            return Suitability(1, "Noise2Void with square masks fits, though worse.")
        return Suitability(1, "Noise2Void with point masks is safe.")

    def losses(
        self, batch: Batch, generator: torch.Generator, stage: Stage = TRAINED
    ) -> Losses:
        """Return the squared error at the targets, whose line is hidden."""
        x = batch.x
        targets, hidden = self._mask(x, generator)
        blind = torch.where(hidden, neighbours(x, self._steps(x), generator), x)
        error = (self.net(blind).float() - x).square()
        if batch.weight is None:
            count = (targets.sum() * x.shape[1]).clamp(min=1)
        else:
            targets = targets * batch.weight
            count = targets.sum().clamp(min=1)
        return Losses({"masked_mse": (error * targets).sum() / count}, {})

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The error at masked pixels."""
        return (Curve("masked_mse", "masked error", "Loss", "squared error"),)

    def describe(self) -> str:
        """Name the mask."""
        if self.config.mask_shape != "line":
            return f"structured Noise2Void, {self._shapes} of {self._width} px masked"
        if self.noise_dim is None:
            return "Noise2Void with point masks"
        return (
            f"structured Noise2Void, {self.noise_reach} px masked on each "
            f"side along {self.config.noise_axis}"
        )

    def papers(self) -> tuple[Paper, ...]:
        """Return the paper of the method, and that of line masks."""
        wide = self.noise_dim is not None or self.config.mask_shape != "line"
        return (POINT_MASKS, LINE_MASKS) if wide else (POINT_MASKS,)

    def networks_in_words(self) -> str:
        """Describe network and masks in a sentence."""
        axis = AXES_IN_WORDS.get(self.config.noise_axis)
        masks = f"lines along {axis}" if axis else "points"
        if self.config.mask_shape != "line":
            masks = f"{self._shapes} of {self._width} pixels"
        return f"A U-Net was trained to predict masked pixels; the masks were {masks}."

    @property
    def _shapes(self) -> str:
        return {"cross": "crosses"}.get(self.config.mask_shape, "squares")

    @property
    def _width(self) -> int:
        """Width of a cross or square, pixels."""
        return 2 * (self.config.receptive_field or 0) + 1

    def _reaches(self, x: Tensor) -> list[list[int]]:
        """Return the boxes around a target that are hidden, half-lengths per axis.

        Where values for hidden pixels come from beyond the box, a side takes up to
        half the crop, so that there is room for them.
        """
        config, ndim = self.config, self.spec.ndim
        if config.mask_shape == "line":
            dims = [] if self.noise_dim is None else [self.noise_dim]
            far = self.noise_reach
        else:
            dims, far = list(range(ndim))[-2:], config.receptive_field or 0
        beyond = config.mask_shape != "line" or ndim == 1
        limited = [
            min(far, (n - 2) // 4 if beyond else n - 1) if a in dims else 0
            for a, n in enumerate(x.shape[2:])
        ]
        if config.mask_shape != "cross":
            return [limited]
        return [[r if a == d else 0 for a, r in enumerate(limited)] for d in dims]

    def _mask(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return targets and hidden pixels, each (n, 1, *spatial), boolean."""
        boxes = self._reaches(x)
        size = sum(math.prod(2 * r + 1 for r in box) for box in boxes)
        share = min(self.config.masked, 0.2 / size)
        targets = point_targets(x, share, generator)
        pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[self.spec.ndim]
        hidden = torch.zeros_like(targets)
        for box in boxes:
            width = tuple(2 * r + 1 for r in box)
            hidden |= pool(_padded(targets.float(), box), width, stride=1) > 0
        return targets, hidden

    def _steps(self, x: Tensor) -> list[tuple[int, ...]]:
        """Return where values for hidden pixels may come from, offsets per axis.

        Not from the line that is hidden: its noise is related to the target's. Where
        there are lines only, or a cross or square is hidden, from beyond that.
        """
        boxes = self._reaches(x)
        # From one end of what is hidden past the other.
        past = [max(2 * box[a] + 1 for box in boxes) for a in range(self.spec.ndim)]
        if self.config.mask_shape != "line":
            ring = product((-1, 0, 1), repeat=min(2, self.spec.ndim))
            before = (0,) * max(0, self.spec.ndim - 2)
            signs = [(*before, *signs) for signs in ring if any(signs)]
            return [
                tuple(s * p for s, p in zip(one, past, strict=True)) for one in signs
            ]
        near = range(-NEIGHBOURHOOD, NEIGHBOURHOOD + 1)
        steps = [
            step
            for step in product(near, repeat=self.spec.ndim)
            if any(s for axis, s in enumerate(step) if axis != self.noise_dim)
        ]
        return steps or [(-past[0],), (past[0],)]


def _padded(mask: Tensor, reach: list[int]) -> Tensor:
    return F.pad(mask, [r for side in reversed(reach) for r in (side, side)])
