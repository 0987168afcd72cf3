"""What methods share that give a point estimate by a U-Net."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import Field
from torch import Tensor

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.methods.base import Method, MethodConfig
from napari_cosdd.methods.outputs import MEAN, Output
from napari_cosdd.methods.values import NO_ASSETS, Assets
from napari_cosdd.nets.unet import UNet


class UNetConfig(MethodConfig):
    """Sizes of a U-Net."""

    n_channels: int = Field(
        default=32, ge=4, le=512, title="Channels", description="Features per layer"
    )
    n_levels: int = Field(
        default=4, ge=1, le=8, title="Levels", description="Resolutions of the U-Net"
    )
    n_blocks: int = Field(
        default=1, ge=1, le=8, title="Blocks", description="Residual blocks per level"
    )
    stem_stride: int = Field(
        default=2,
        ge=1,
        le=2,
        title="Stem stride",
        description="2: the network works at half resolution and below, 4 times faster",
    )


UNetT = TypeVar("UNetT", bound=UNetConfig)


class UNetMethod(Method[UNetT]):
    """A U-Net from image to image; subclasses say what it minimizes."""

    def __init__(
        self, config: UNetT, spec: DataSpec, assets: Assets = NO_ASSETS
    ) -> None:
        super().__init__(config, spec, assets)
        self.net = UNet(
            spec.ndim,
            spec.n_channels,
            self.n_out,
            n_channels=config.n_channels,
            n_levels=config.n_levels,
            n_blocks=config.n_blocks,
            stem_stride=config.stem_stride,
        )

    @property
    def n_out(self) -> int:
        """Number of channels that the U-Net gives."""
        return self.spec.n_channels

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
