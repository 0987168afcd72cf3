"""The base class of methods for noise that is correlated along one axis."""

from typing import Self, TypeVar

from pydantic import Field

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import SPATIAL, NoiseAxis
from napari_cosdd.methods.base import Method, MethodConfig
from napari_cosdd.methods.values import NO_ASSETS, Assets
from napari_cosdd.noise_analysis.facts import NoiseFacts

#: Names of noise axes in sentences.
AXES_IN_WORDS = {"x": "rows (x)", "y": "columns (y)", "z": "the z axis"}
#: Receptive field if the noise was not measured, pixels: that of the papers.
USUAL_REACH = 40


class NoiseAxisConfig(MethodConfig):
    """The axis along which noise is correlated, and how far."""

    noise_axis: NoiseAxis = Field(
        default="auto",
        title="Noise axis",
        description="Axis along which the noise is correlated: x along rows, "
        "y along columns, none for independent pixels, auto to measure it",
    )
    receptive_field: int | None = Field(
        default=None,
        title="Receptive field",
        ge=0,
        le=512,
        description="Pixels along the noise axis over which the noise is correlated",
        json_schema_extra={"unit": "px", "empty": "measured"},
    )

    @property
    def is_open(self) -> bool:
        """Whether axis or receptive field is open, for the noise to decide."""
        unknown = self.receptive_field is None and self.noise_axis != "none"
        return self.noise_axis == "auto" or unknown

    def resolved(self, facts: NoiseFacts | None) -> Self:
        """Return a copy with open axis and receptive field set from the noise."""
        axis, reach = self.noise_axis, self.receptive_field
        if axis == "auto" and facts is not None:
            axis = facts.safe_axis
        if reach is None:
            measured = facts is not None and facts.safe_axis == axis
            reach = facts.receptive_field if measured and facts else USUAL_REACH
            reach = 0 if axis == "none" else reach
        return self.model_copy(update={"noise_axis": axis, "receptive_field": reach})


NoiseAxisT = TypeVar("NoiseAxisT", bound=NoiseAxisConfig)


class NoiseAxisMethod(Method[NoiseAxisT]):
    """A method whose settings are a `NoiseAxisConfig`."""

    def __init__(
        self, config: NoiseAxisT, spec: DataSpec, assets: Assets = NO_ASSETS
    ) -> None:
        super().__init__(config, spec, assets)
        if config.is_open:
            raise BadInputError(
                "the noise axis and the receptive field must be decided before the "
                f"networks are built; got {config.noise_axis} and "
                f"{config.receptive_field}"
            )

    @property
    def noise_dim(self) -> int | None:
        """Index of the noise axis among the spatial axes, or None."""
        letter = self.config.noise_axis
        if letter == "none":
            return None
        axes = SPATIAL[self.spec.ndim].lower()
        if letter not in axes:
            raise BadInputError(
                f"noise axis {letter!r} is not among the spatial axes {axes!r}"
            )
        return axes.index(letter)

    @property
    def noise_reach(self) -> int:
        """Distance along the noise axis up to which correlation is modelled, pixels."""
        return 0 if self.noise_dim is None else self.config.receptive_field or 0
