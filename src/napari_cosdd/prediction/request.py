"""The request to denoise an image, and shares of its tiles."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.filling import Fill
from napari_cosdd.methods.outputs import MEAN, Output
from napari_cosdd.settings.prediction import PredictionConfig


@dataclass(frozen=True)
class DenoiseRequest:
    """The outputs and settings with which to denoise an image.

    Attributes
    ----------
    paths : mapping of Output to Path
        File of each output; absolute if other machines write it.
    config : PredictionConfig
        Settings.
    provenance : mapping
        Origin of the results, for their metadata.
    dtype, fill, region
        As in `denoising`.
    """

    paths: Mapping[Output, Path]
    config: PredictionConfig
    provenance: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    fill: Fill | None = None
    region: str | None = None

    @property
    def partial(self) -> Path:
        """Folder of the unfinished images, if they are written tile by tile."""
        mean = self.paths[MEAN]
        return mean.with_name(mean.name.removesuffix(f"-{MEAN.name}.zarr") + ".partial")


@dataclass(frozen=True)
class Share:
    """A share of the tiles: number `index` of `count`, counted from 1."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read "2/8".

        Raises
        ------
        BadInputError
            If the text is not two numbers, or the first is not from 1 to the second.
        """
        numbers = text.split("/")
        if len(numbers) == 2 and all(n.strip().isdecimal() for n in numbers):
            index, count = map(int, numbers)
            if 1 <= index <= count:
                return cls(index, count)
        raise BadInputError(f"share {text!r}: expected two numbers such as 2/8")

    def holds(self, i: int) -> bool:
        """Whether tile `i` is in this share."""
        return i % self.count == self.index - 1
