"""DataSpec: all that a method may know of the data it learns from."""

from pydantic import BaseModel, ConfigDict, Field

from napari_cosdd.normalization import Normalization


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

    @property
    def scale_floor(self) -> float:
        """Smallest deviation of noise worth modelling, normalized units.

        Half a grey level: below it a density only counts equal grey levels, and
        grows without bound.
        """
        return max(0.005, 0.5 * self.grey_step / max(self.normalization.std))
