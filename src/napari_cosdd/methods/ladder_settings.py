"""Settings of the methods with a ladder VAE."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from napari_cosdd.methods.base import MethodConfig
from napari_cosdd.settings.training import STEPS_FROM_RANDOM


class LadderConfig(MethodConfig):
    """Sizes of the ladder and of the signal decoder, and the warm-up of the KL."""

    n_levels: int = Field(
        default=4, ge=1, le=20, title="Levels", description="Levels of latents"
    )
    n_channels: int = Field(
        default=32, ge=4, le=512, title="Channels", description="Features per layer"
    )
    n_latents: int = Field(
        default=2, ge=1, le=512, title="Latents", description="Latents per level"
    )
    n_code: int = Field(
        default=8, ge=2, le=512, title="Code", description="Channels of the signal code"
    )
    n_blocks: int = Field(
        default=1,
        ge=1,
        le=8,
        title="Blocks",
        description="Residual blocks per level in each direction",
    )
    n_blocks_up: int | None = Field(
        default=None,
        ge=1,
        le=8,
        title="Blocks upwards",
        description="Residual blocks per level in the bottom-up network. It runs once "
        "for all samples of an image: blocks in it add no time per sample",
        json_schema_extra={"empty": "as many as in the other direction"},
    )
    stem_stride: int = Field(
        default=2,
        ge=1,
        le=2,
        title="Stem stride",
        description="2: all latents are at half resolution or below, 4 times faster",
    )
    downsample_every: int = Field(
        default=1,
        ge=1,
        le=8,
        title="Halve every",
        description="Levels between two halvings of the resolution",
    )
    signal_channels: int = Field(
        default=8,
        ge=4,
        le=512,
        title="Signal features",
        description="Features of the signal decoder",
    )
    signal_layers: int = Field(
        default=2,
        ge=1,
        le=8,
        title="Signal layers",
        description="Convolutions of the signal decoder",
    )
    kl_start: float = Field(
        default=0.02,
        gt=0,
        le=1,
        title="KL at start",
        description="Weight of the KL term at the first step; a small weight lets the "
        "latents carry the signal before the KL term limits them",
    )
    kl_warmup_steps: int = Field(
        default=300,
        ge=0,
        title="KL warm-up",
        description="Steps over which the weight of the KL term rises to 1",
        json_schema_extra={"unit": "steps"},
    )

    @classmethod
    def with_present_names(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings by present names; a share of the steps becomes steps."""
        values = super().with_present_names(given)
        if (share := values.pop("kl_warmup", None)) is not None:
            values["kl_warmup_steps"] = round(STEPS_FROM_RANDOM * float(share))
        return values

    def kl_weights(self, step: int) -> tuple[float, ...]:
        """Return the weight of each level's KL, lowest level first.

        All weights rise to 1 during the warm-up. The top level starts lowest, at
        `kl_start`, so that it carries signal early. The bottom level, or an only one,
        starts at 1: it alone is fine enough to carry pixel noise, which it would have
        to unlearn (measured in docs/measurements.md).
        """
        rise = min(1.0, step / self.kl_warmup_steps) if self.kl_warmup_steps else 1
        top = self.n_levels - 1
        starts = [
            self.kl_start ** (level / top if top else 0)
            for level in range(self.n_levels)
        ]
        return tuple(start + (1 - start) * rise for start in starts)
