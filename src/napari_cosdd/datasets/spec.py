"""DataSpec: all that a method may know of the data it learns from."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_cosdd.images.normalization import Normalization


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

    @model_validator(mode="after")
    def _channels_fit(self) -> Self:
        if len(self.normalization.mean) != self.n_channels:
            raise ValueError("the normalization is for another number of channels")
        return self

    @property
    def scale_floors(self) -> list[float]:
        """Smallest deviation of noise worth modelling, per channel, normalized units.

        Half a grey level: below it a density only counts equal grey levels, and
        grows without bound.
        """
        return [max(0.005, 0.5 * self.grey_step / s) for s in self.normalization.std]
