"""Settings and presets of COSDD."""

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field

from napari_cosdd.methods.base import Preset
from napari_cosdd.methods.ladder_settings import LadderConfig
from napari_cosdd.methods.noise_axis import NoiseAxisConfig
from napari_cosdd.settings.training import TrainingConfig

#: Share of a fine-tuning, at its start, in which only the noise decoder learns.
DECODER_ONLY = 0.1


class COSDDConfig(NoiseAxisConfig, LadderConfig):
    """Sizes of the four networks, and how their training begins."""

    former_names: ClassVar[Mapping[str, str]] = {"held": "decoder_only"}

    n_components: int = Field(
        default=3,
        ge=1,
        le=32,
        title="Gaussians",
        description="Components of the noise distribution; unusual shapes need more",
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
        description="Least number of causal layers of the autoregressive decoder; a "
        "longer receptive field uses more",
    )
    direct_denoiser: bool = Field(
        default=False,
        title="Direct denoiser",
        description="Also train a U-Net that gives the MMSE mean in one pass",
    )
    closed_steps: int = Field(
        default=100,
        ge=0,
        title="Closed view",
        description="First steps, in which the decoder of the noise sees no earlier "
        "pixels: the latents learn the signal before that decoder can predict it",
        json_schema_extra={"unit": "steps"},
    )
    decoder_only: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Decoder only",
        description="First share of the training, in which the ladder is frozen and "
        "only the decoder of the noise learns; for trained ladders",
    )

    def fine_tuning(self) -> Self:
        """Return a copy for networks whose latents carry the signal already.

        The noise decoder learns first. Until it models the noise, the latents would
        learn the noise that it cannot explain, and unlearn it only slowly.
        """
        start = {"kl_warmup_steps": 0, "closed_steps": 0, "decoder_only": DECODER_ONLY}
        return self.model_copy(update=start)


def _paper_sizes(n_levels: int, n_channels: int) -> COSDDConfig:
    """Return the settings of the papers' networks (preprint, supplement, 1.1)."""
    return COSDDConfig(
        n_levels=n_levels,
        n_channels=n_channels,
        n_latents=n_channels // 2,
        n_code=n_channels,
        stem_stride=1,
        downsample_every=2,
        decoder_channels=64,
        decoder_layers=8,
        signal_channels=n_channels,
        signal_layers=4,
        receptive_field=40,
        direct_denoiser=True,
    )


#: Networks worth a GPU: ten times the work of `quick`, most of it done once for all
#: samples.
STANDARD = COSDDConfig(
    n_levels=6,
    n_channels=64,
    n_latents=4,
    n_code=16,
    n_blocks_up=3,
    downsample_every=2,
    signal_channels=16,
)
STANDARD_TRAINING = TrainingConfig(crop_size=128, batch_size=16, learning_rate=0.002)
#: Crops, batch and steps of the papers.
PAPER_TRAINING = TrainingConfig(crop_size=256, batch_size=16, max_steps=80_000)
#: Rate of the large network. It learns nothing at the papers' 0.002: without
#: normalization layers, a step of Adam changes the output the more, the wider and
#: deeper the network is.
LARGE_RATE = 0.0005
#: The presets of COSDD, the usual one first.
PRESETS = {
    "quick": Preset(
        COSDDConfig(),
        TrainingConfig(batch_size=8, learning_rate=0.005),
        "a laptop, minutes",
    ),
    "standard": Preset(STANDARD, STANDARD_TRAINING, "a GPU, a minute"),
    "small": Preset(_paper_sizes(6, 64), PAPER_TRAINING, "a GPU, hours"),
    "large": Preset(
        _paper_sizes(14, 128),
        PAPER_TRAINING.changed({"learning_rate": LARGE_RATE}),
        "a GPU, a day",
    ),
}
