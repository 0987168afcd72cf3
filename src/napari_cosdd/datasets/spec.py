"""DataSpec: the properties of the training data that a method may use."""

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from napari_cosdd.devices import constant
from napari_cosdd.images.normalization import Normalization

#: Lower bound on the modelled deviation of the noise, normalized units.
FLOOR = 0.005


class DataSpec(BaseModel):
    """The shape and the scale of the training data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ndim: int = Field(ge=1, le=3, description="Spatial axes of an image")
    n_channels: int = Field(ge=1, le=64, description="Channels of an image")
    normalization: Normalization
    grey_step: float = Field(
        default=0.0,
        ge=0,
        description="Distance between neighbouring grey levels (1 for whole numbers)",
    )
    targets: Normalization | None = Field(
        default=None,
        description="Scale of the targets that a supervised method learned from, and "
        "so of its results; None: that of the images",
    )

    grid: int | None = Field(
        default=None,
        ge=2,
        le=16,
        description="Distance of the pixels of the grids that were learned from; None: "
        "all pixels",
    )

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        for scale in (self.normalization, self.targets):
            if scale is not None and len(scale.mean) != self.n_channels:
                raise ValueError("the normalization is for another number of channels")
        return self

    @property
    def scale_floors(self) -> list[float]:
        """Lower bound on the modelled deviation of the noise, per channel, normalized.

        At least half a grey level: a narrower density would only describe single
        grey levels and grow without bound.
        """
        return [max(FLOOR, 0.5 * self.grey_step / s) for s in self.normalization.std]

    @property
    def results(self) -> Normalization:
        """Scale of the estimates of the signal."""
        return self.targets or self.normalization

    def in_network_pixels(self, length: float) -> float:
        """Return a length in pixels of the image in those that a network sees.

        A model of grids sees pixels that lie further apart.
        """
        return length / (self.grid or 1)

    def scale(self, like: Tensor) -> Tensor:
        """Return the grey levels in one normalized unit, broadcastable to `like`."""
        return self._column(self.normalization.std, like)

    def to_grey(self, x: Tensor) -> Tensor:
        """Turn normalized images (n, c, *spatial) into grey levels."""
        return x * self.scale(x) + self._column(self.normalization.mean, x)

    def from_grey(self, x: Tensor) -> Tensor:
        """Turn grey levels (n, c, *spatial) into normalized units."""
        return (x - self._column(self.normalization.mean, x)) / self.scale(x)

    def _column(self, values: Sequence[float], like: Tensor) -> Tensor:
        column = constant(tuple(values), like.device)
        return column.reshape(-1, *(1,) * self.ndim)
