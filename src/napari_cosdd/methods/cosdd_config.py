"""Settings of COSDD and its presets."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from napari_cosdd.methods.base import MethodConfig

#: Share of a training from trained networks in which the decoder learns alone.
HELD = 0.1


class COSDDConfig(MethodConfig):
    """Sizes of the four networks, and the warm-up of the KL term."""

    n_levels: int = Field(
        default=4, ge=1, le=20, title="Levels", description="Levels of latents"
    )
    n_channels: int = Field(
        default=32, ge=4, le=512, title="Channels", description="Features of a layer"
    )
    n_latents: int = Field(
        default=2, ge=1, le=512, title="Latents", description="Latents of a level"
    )
    n_code: int = Field(
        default=8, ge=2, le=512, title="Code", description="Channels of the code"
    )
    n_blocks: int = Field(
        default=1,
        ge=1,
        le=8,
        title="Blocks",
        description="Residual blocks of a level in each direction",
    )
    stem_stride: int = Field(
        default=2,
        ge=1,
        le=2,
        title="Stem stride",
        description="2 keeps all latents at half resolution or below: 4 times faster",
    )
    downsample_every: int = Field(
        default=1,
        ge=1,
        le=8,
        title="Halve every",
        description="Levels between two halvings of the resolution",
    )
    n_components: int = Field(
        default=3,
        ge=1,
        le=32,
        title="Gaussians",
        description="Components of the noise's mixture; more for odd-shaped noise",
    )
    decoder_channels: int = Field(
        default=8,
        ge=4,
        le=512,
        title="Noise features",
        description="Features of the autoregressive decoder, per image channel",
    )
    decoder_layers: int = Field(
        default=2,
        ge=1,
        le=16,
        title="Noise layers",
        description="Causal layers of the autoregressive decoder, at least; a longer "
        "receptive field takes more",
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
    direct_denoiser: bool = Field(
        default=False,
        title="Direct denoiser",
        description="Also train a U-Net that gives the mean in one pass",
    )
    kl_start: float = Field(
        default=0.02,
        gt=0,
        le=1,
        title="KL at start",
        description="Weight of the KL term at the first step: a small one makes "
        "the latents carry the signal before they have to be economical",
    )
    kl_warmup: float = Field(
        default=0.05,
        ge=0,
        le=0.9,
        title="KL warm-up",
        description="Share of the training over which that weight rises to 1",
    )
    held: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Ladder held",
        description="Share of the training, at its start, in which the ladder stays "
        "as it is and the decoder of the noise learns alone; for trained ladders",
    )

    def kl_weights(self, progress: float) -> list[float]:
        """Return the weight of each level's KL, lowest level first.

        All rise to 1 during the warm-up. The top starts lowest, at `kl_start`: it
        is to carry signal early. The bottom starts at 1: it alone is fine enough
        to carry pixel noise, which it would have to unlearn again (measured in
        docs/measurements.md).
        """
        risen = min(1.0, progress / self.kl_warmup) if self.kl_warmup else 1
        top = self.n_levels - 1
        starts = [
            self.kl_start ** (level / top if top else 1)
            for level in range(self.n_levels)
        ]
        return [start + (1 - start) * risen for start in starts]

    def adapting(self) -> Self:
        """Return a copy for networks whose latents carry the signal already.

        The noise is learned first. Until the decoder knows it, the latents would
        take in what it cannot explain, and unlearn that slowly.
        """
        return self.model_copy(update={"kl_warmup": 0.0, "held": HELD})


#: `small` and `large` are those of the paper (supplement), `quick` is for a laptop.
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "quick": {
        "method": {},
        "training": {"batch_size": 8, "learning_rate": 0.005},
    },
    "small": {
        "method": {
            "n_levels": 6,
            "n_channels": 64,
            "n_latents": 32,
            "n_code": 64,
            "stem_stride": 1,
            "downsample_every": 2,
            "decoder_channels": 64,
            "decoder_layers": 8,
            "signal_channels": 64,
            "signal_layers": 4,
            "receptive_field": 40,
            "direct_denoiser": True,
        },
        "training": {"crop_size": 256, "batch_size": 16, "max_steps": 80_000},
    },
    "large": {
        "method": {
            "n_levels": 14,
            "n_channels": 128,
            "n_latents": 64,
            "n_code": 128,
            "stem_stride": 1,
            "downsample_every": 2,
            "decoder_channels": 64,
            "decoder_layers": 8,
            "signal_channels": 128,
            "signal_layers": 4,
            "receptive_field": 40,
            "direct_denoiser": True,
        },
        "training": {"crop_size": 256, "batch_size": 16, "max_steps": 80_000},
    },
}
