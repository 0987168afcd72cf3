"""Settings of a prediction."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from napari_cosdd.settings.fields import Settings


class PredictionConfig(Settings):
    """How many samples, which to keep, and how to cut the image."""

    former_names: ClassVar[Mapping[str, str]] = {"views": "test_time_views"}

    n_samples: int = Field(
        default=50,
        ge=1,
        le=100_000,
        title="Samples",
        description="Posterior samples in the MMSE mean",
    )
    n_kept: int = Field(
        default=0,
        ge=0,
        le=10_000,
        title="Keep",
        description="Drawn posterior samples that are kept as single images",
    )
    antithetic: bool = Field(
        default=True,
        title="Mirrored pairs",
        description="Draw samples in pairs with mirrored latent noise: their mean is "
        "as good as that of several times as many unpaired samples. Kept samples "
        "contain no such pair if they are at most half of all",
    )
    test_time_views: bool = Field(
        default=True,
        title="Several views",
        description="Draw the samples in turn from the image and from shifted copies, "
        "also flipped if a flip keeps the distribution of the noise: a better mean in "
        "the same time",
    )
    direct: bool = Field(
        default=False,
        title="Direct denoiser",
        description="Use one pass of the direct denoiser, not samples; no deviation",
    )
    keep_brightness: float = Field(
        default=0.0,
        ge=0,
        le=100,
        title="Keep brightness",
        description="Give the mean the brightness of the noisy image, averaged over a "
        "Gaussian of this deviation: less bias of faint objects, a little more noise. "
        "4 suits the cells of calcium movies; 0 changes nothing. Samples and deviation "
        "stay those of the posterior",
        json_schema_extra={"unit": "px"},
    )
    tile_size: int = Field(
        default=512,
        ge=16,
        le=16384,
        title="Tile size",
        description="Width and height of a tile, the part that is computed at once",
        json_schema_extra={"unit": "px"},
    )
    margin: int | None = Field(
        default=None,
        ge=0,
        le=2048,
        title="Margin",
        description="Context around a tile, in whole strides of the network; empty: as "
        "measured on the trained model",
        json_schema_extra={"unit": "px"},
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        title="Batch size",
        description="Samples computed at once; empty: as many as are fast and fit "
        "into memory",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        title="Seed",
        description="The same seed gives the same samples; near the seams of other "
        "tiles they may differ",
    )
    device: str = Field(
        default="auto", title="Device", description="auto, cpu, cuda, cuda:1 or mps"
    )
