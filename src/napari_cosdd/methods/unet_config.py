"""Sizes of the U-Net that several methods use."""

from pydantic import Field

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.methods.base import MethodConfig
from napari_cosdd.nets.unet import UNet


class UNetConfig(MethodConfig):
    """Sizes of a U-Net."""

    n_channels: int = Field(
        default=32, ge=4, le=512, title="Channels", description="Features of a layer"
    )
    n_levels: int = Field(
        default=4, ge=1, le=8, title="Levels", description="Resolutions of the U-Net"
    )
    n_blocks: int = Field(
        default=1, ge=1, le=8, title="Blocks", description="Residual blocks of a level"
    )
    stem_stride: int = Field(
        default=2,
        ge=1,
        le=2,
        title="Stem stride",
        description="2 works from half resolution down: 4 times faster",
    )

    def build(self, spec: DataSpec) -> UNet:
        """Return a network of these sizes that maps an image to an image."""
        return UNet(
            spec.ndim,
            spec.n_channels,
            spec.n_channels,
            n_channels=self.n_channels,
            n_levels=self.n_levels,
            n_blocks=self.n_blocks,
            stem_stride=self.stem_stride,
        )
