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
        description="Posterior samples that the mean (MMSE) is taken over",
    )
    n_kept: int = Field(
        default=0,
        ge=0,
        le=10_000,
        title="Keep",
        description="Single samples kept as images of their own, of those drawn",
    )
    antithetic: bool = Field(
        default=True,
        title="Mirrored pairs",
        description="Draw samples in pairs of mirrored latent noise: the mean of few "
        "is as good as that of several times as many. Kept samples are not mirrored "
        "as long as they are at most half of all",
    )
    test_time_views: bool = Field(
        default=True,
        title="Several views",
        description="Draw the samples in turn from the image and from it shifted by "
        "pixels, and flipped where that leaves the law of the noise as it is: a better "
        "mean in the same time",
    )
    direct: bool = Field(
        default=False,
        title="Direct denoiser",
        description="One pass of the direct denoiser instead of samples; no deviation",
    )
    tile_size: int = Field(
        default=512,
        ge=16,
        le=16384,
        title="Tile size",
        description="Width and height of what is computed at once",
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
        description="The same seed gives the same samples, whatever the tiles",
    )
    device: str = Field(
        default="auto", title="Device", description="auto, cpu, cuda, cuda:1 or mps"
    )
