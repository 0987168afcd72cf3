"""Normalization per channel, computed in float64 and saved with the model."""

import math
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_cosdd.errors import BadInputError

#: Smallest deviation in units of the mean for which double precision leaves a thousand
#: steps.
LEAST = 1e-12


class Normalization(BaseModel):
    """Mean and standard deviation of each channel of the training data.

    Arrays are (..., c, *spatial); the caller gives `ndim`, the number of spatial axes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...] = Field(description="Mean of each channel, grey levels")
    std: tuple[float, ...] = Field(description="Deviation of each channel, grey levels")

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError("expected one mean and one deviation for each channel")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError("expected finite means and positive deviations")
        return self

    @classmethod
    def fit(cls, images: Iterable[NDArray[Any]]) -> "Normalization":
        """Measure mean and deviation over images (c, *spatial), one after the other.

        Raises
        ------
        BadInputError
            If a channel is constant: there is nothing to learn from.
        """
        count, mean, m2 = 0, np.zeros(1), np.zeros(1)
        differ = np.zeros(1, bool)
        for image in images:
            levels = image.reshape(len(image), -1)
            differ = differ | (levels != levels[:, :1]).any(1)
            flat = levels.astype(np.float64)
            n, part = flat.shape[1], flat.mean(1)
            delta = part - mean
            total = count + n
            mean = mean + delta * n / total
            spread = ((flat - part[:, None]) ** 2).sum(1)
            m2 = m2 + spread + delta**2 * count * n / total
            count = total
        std = np.sqrt(m2 / max(count, 1))
        for channel, (m, s) in enumerate(zip(mean, std, strict=True)):
            if s > LEAST * abs(m):
                continue
            if differ[channel]:
                raise BadInputError(
                    f"the grey levels of channel {channel} are near {m:g} and differ "
                    "by less than can be computed with; subtract an offset first"
                )
            others = "; leave it out" if len(std) > 1 else ""
            raise BadInputError(
                f"channel {channel} is constant (every pixel is {m:g}); "
                f"expected an image with signal and noise{others}"
            )
        return cls(mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    def apply(self, x: NDArray[Any], ndim: int) -> NDArray[np.float32]:
        """Turn grey levels into normalized units, float32."""
        return self._scaled(x.astype(np.float64), ndim).astype(np.float32)

    def invert(self, x: NDArray[Any], ndim: int) -> NDArray[np.float64]:
        """Turn normalized units into grey levels."""
        mean, std = self._columns(ndim)
        return np.asarray(x.astype(np.float64) * std + mean)

    def invert_scale(self, x: NDArray[Any], ndim: int) -> NDArray[np.float64]:
        """Turn a deviation into grey levels, by the scale without the offset."""
        return np.asarray(x.astype(np.float64) * self._columns(ndim)[1])

    def _scaled(self, x: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
        mean, std = self._columns(ndim)
        return np.asarray((x - mean) / std)

    def _columns(self, ndim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        shape = (-1,) + (1,) * ndim
        return np.reshape(self.mean, shape), np.reshape(self.std, shape)


def as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert grey levels to a type; for integers they are rounded and clipped."""
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)
