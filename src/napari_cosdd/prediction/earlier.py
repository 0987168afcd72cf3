"""Results of an earlier run at the paths of a request; whether they are the same."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import Stack
from napari_cosdd.prediction.request import DenoiseRequest
from napari_cosdd.prediction.result_files import read_provenance

#: What of the provenance makes results the same.
ORIGIN = ("model_hash", "settings", "fill", "region", "dtype", "pixels")
#: Settings that change no result.
WHERE = frozenset({"device", "batch_size"})
#: Number of planes, and of boxes along each axis, whose pixels identify an image.
LOOKED_AT = 4
#: Side of such a box, pixels.
BOX = 64


@dataclass(frozen=True)
class Earlier:
    """Files at the paths of a request.

    Attributes
    ----------
    request : DenoiseRequest
        What was asked for now.
    made : mapping of Path to mapping
        Provenance of the files that are there; empty for other files.
    """

    request: DenoiseRequest
    made: Mapping[Path, Mapping[str, Any]]

    @classmethod
    def at(cls, request: DenoiseRequest) -> Self:
        """Look what is there."""
        there = [path for path in request.paths.values() if path.exists()]
        return cls(request, {path: read_provenance(path) for path in there})

    def foreign(self) -> Path | None:
        """Return a file that the model of the request did not make, if there is one."""
        model = self.request.provenance["model_hash"]
        others = (p for p, one in self.made.items() if one.get("model_hash") != model)
        return next(others, None)

    def is_same(self, image: Image) -> bool:
        """Whether all files that are there are results of this request and image."""
        wanted = _origin({**self.request.provenance, **origin_of(image, self.request)})
        return all(_origin(one) == wanted for one in self.made.values())

    def is_complete(self, image: Image) -> bool:
        """Whether the whole work was done before."""
        return len(self.made) == len(self.request.paths) and self.is_same(image)


def origin_of(image: Image, request: DenoiseRequest) -> dict[str, Any]:
    """Return what identifies an image and the type of its results, for provenance."""
    return {"pixels": digest_of(image), "dtype": request.dtype}


def digest_of(image: Image) -> str:
    """Return a hash of a sample of the pixels, to identify the image."""
    source = Stack(image.data, image.axes, 2 if "Y" in image.axes else 1, image.name)
    digest = hashlib.sha256()
    for n, box in source.boxes(LOOKED_AT, LOOKED_AT, BOX):
        digest.update(np.ascontiguousarray(source.read(n, box)).tobytes())
    return digest.hexdigest()


def _origin(provenance: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: provenance.get(key) for key in ORIGIN}
    settings = found["settings"] or {}
    return found | {"settings": {k: v for k, v in settings.items() if k not in WHERE}}
