"""Denoised images as files: names, provenance, axes and pixel size of the source."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from napari_cosdd._version import __version__
from napari_cosdd.data.files import check_output
from napari_cosdd.data.image import Image
from napari_cosdd.data.io import write_image
from napari_cosdd.errors import BadInputError
from napari_cosdd.inference.config import InferenceConfig

FORMATS = ("tif", "zarr", "npy")


class ResultPaths(NamedTuple):
    """Where the parts of a prediction go."""

    mean: Path
    deviation: Path
    samples: tuple[Path, ...]

    def resolved(self) -> "ResultPaths":
        """Return them as seen from any folder."""
        return ResultPaths(
            self.mean.resolve(),
            self.deviation.resolve(),
            tuple(p.resolve() for p in self.samples),
        )


def result_paths(
    folder: Path,
    name: str,
    config: InferenceConfig,
    file_format: str,
    overwrite: bool,
) -> ResultPaths:
    """Name the files of a prediction.

    Raises
    ------
    BadInputError
        If the format is unknown, or a file exists and may not be overwritten.
    """
    if file_format not in FORMATS:
        raise BadInputError(f"format {file_format!r}: expected {', '.join(FORMATS)}")
    kept = min(config.n_kept, config.n_samples) if not config.direct else 0

    def path(part: str) -> Path:
        return folder / f"{name}-{part}.{file_format}"

    width = len(str(kept))
    samples = tuple(path(f"sample-{k + 1:0{width}d}") for k in range(kept))
    paths = ResultPaths(path("mean"), path("deviation"), samples)
    for one in (paths.mean, paths.deviation, *samples):
        check_output(one, overwrite)
    return paths


def write_prediction(
    paths: ResultPaths, prediction: Any, provenance: Mapping[str, Any]
) -> list[Path]:
    """Write mean, deviation and samples; return the files written."""
    source: Image = prediction.source
    extra = provenance_of(source, provenance)
    parts = [(paths.mean, prediction.mean, "mean")]
    if prediction.deviation is not None:
        parts.append((paths.deviation, prediction.deviation, "deviation"))
    for k, (path, sample) in enumerate(
        zip(paths.samples, prediction.samples, strict=False), start=1
    ):
        parts.append((path, sample, f"sample {k}"))
    for path, data, part in parts:
        image = source.with_data(data, f"{source.name} · {part}")
        write_image(path, image, extra | {"part": part})
    return [path for path, _, _ in parts]


def provenance_of(source: Image, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a result says of where it comes from."""
    return {"napari_cosdd": __version__, "source": source.name, **provenance}


def check_outputs(folder: Path, names: Sequence[str], overwrite: bool) -> list[Path]:
    """Return the OME-TIFF files of these names, if they may be written."""
    paths = [folder / f"{name}.tif" for name in names]
    for path in paths:
        check_output(path, overwrite)
    return paths
