"""The summary of the training images that a model file holds."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_cosdd.images.filling import Fill


class NoiseSummary(BaseModel):
    """Key numbers of the raw noise.

    Attributes
    ----------
    along_x, along_y : tuple of float
        Autocorrelation at lags 1, 2, …
    signal, variance : tuple of float, equal lengths
        Grey levels of the signal, and variance of the noise at each of them.
    power : float or None
        Variance of the noise that the correlation was measured on, grey levels
        squared.
    """

    model_config = ConfigDict(frozen=True)

    along_x: Annotated[tuple[float, ...], Field(min_length=1)]
    along_y: Annotated[tuple[float, ...], Field(min_length=1)]
    signal: tuple[float, ...]
    variance: tuple[float, ...]
    power: float | None = None

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if len(self.signal) != len(self.variance):
            raise ValueError("expected a variance for each level of the signal")
        return self


class TrainedOn(BaseModel):
    """Summary of the training images; every field may be empty.

    Attributes
    ----------
    names : tuple of str
        Names of the images, a hundred at most.
    n_images : int
        Number of planes or volumes.
    shapes : tuple of tuple of int
        Shapes of the arrays, a hundred at most.
    dtype : str
        Type of the pixels.
    levels_1_50_99 : tuple of three float, or None
        The 1, 50 and 99 % quantiles of the grey levels.
    sha256 : str
        Hash of all pixels.
    validated_on : str
        Hash of the images to validate on; empty: parts of the training images.
    targets_sha256 : str
        Hash of all pixels of the targets; empty: it learned without.
    start : str
        Origin of the first weights.
    noise : NoiseSummary or None
        Key numbers of their noise.
    fill : {"nothing", "missing", "outliers"}
        Pixels that were filled.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    names: tuple[str, ...] = ()
    n_images: int = 0
    shapes: tuple[tuple[int, ...], ...] = ()
    dtype: str = ""
    levels_1_50_99: tuple[float, float, float] | None = None
    sha256: str = ""
    validated_on: str = ""
    targets_sha256: str = ""
    start: str = ""
    noise: NoiseSummary | None = None
    fill: Fill = "nothing"
