"""What a model remembers of the images that it was trained on."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class NoiseSummary(BaseModel):
    """What raw noise was like, in few numbers.

    Attributes
    ----------
    along_x, along_y : tuple of float
        Autocorrelation at lags 1, 2, …
    signal, variance : tuple of float, equal lengths
        Grey levels, and the noise's variance there.
    power : float or None
        Variance of the noise where its correlation was seen, grey levels squared.
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
    """Summary of the training images; all of it may be missing.

    Attributes
    ----------
    names : tuple of str
        Of the images, a hundred at most.
    n_images : int
        Planes or volumes in them.
    shapes : tuple of tuple of int
        Of the arrays, a hundred at most.
    dtype : str
        Of their pixels.
    levels_1_50_99 : tuple of three float, or None
        Quantiles of the grey levels.
    sha256 : str
        Hash of all pixels.
    start : str
        What the training began with.
    noise : NoiseSummary or None
        What their noise was like.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    names: tuple[str, ...] = ()
    n_images: int = 0
    shapes: tuple[tuple[int, ...], ...] = ()
    dtype: str = ""
    levels_1_50_99: tuple[float, float, float] | None = None
    sha256: str = ""
    start: str = ""
    noise: NoiseSummary | None = None
