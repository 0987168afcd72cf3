"""Denoised images as files: names, provenance, axes and pixel size of the source."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from napari_cosdd._version import __version__
from napari_cosdd.data.files import check_output
from napari_cosdd.data.image import Image
from napari_cosdd.data.io import write_image
from napari_cosdd.errors import BadInputError
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.prediction import Prediction
from napari_cosdd.training.checkpoint import TrainedModel

FORMATS = ("tif", "zarr", "npy")


class ResultPaths(NamedTuple):
    """Where the parts of a prediction go."""

    mean: Path
    deviation: Path
    samples: tuple[Path, ...]

    def of(self, parts: Iterable[str]) -> dict[str, Path]:
        """Return the path of each part: mean, deviation, sample 1, sample 2."""
        known = {"mean": self.mean, "deviation": self.deviation}
        known |= {f"sample {k}": p for k, p in enumerate(self.samples, start=1)}
        return {part: known[part] for part in parts if part in known}

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
    paths: ResultPaths, prediction: Prediction, provenance: Mapping[str, Any]
) -> list[Path]:
    """Write mean, deviation and samples; return the files written."""
    source, parts = prediction.source, prediction.parts
    written = paths.of(parts)
    for part, path in written.items():
        image = source.with_data(parts[part], title_of(source, part))
        write_image(path, image, provenance_of(source, part, provenance))
    return list(written.values())


def title_of(source: Image, part: str) -> str:
    """Name a part of a prediction, for its metadata."""
    return f"{source.name} · {part}"


def made_with(
    name: str, model: TrainedModel, config: InferenceConfig
) -> dict[str, Any]:
    """Return what the same command needs to give the same pixels again."""
    return {
        "model": name,
        "model_hash": model.fingerprint,
        "settings": config.model_dump(),
    }


def provenance_of(
    source: Image, part: str, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a part of a result says of where it comes from."""
    ours = {"napari_cosdd": __version__, "source": source.name, "part": part}
    return {**ours, **provenance}


def check_outputs(folder: Path, names: Sequence[str], overwrite: bool) -> list[Path]:
    """Return the OME-TIFF files of these names, if they may be written."""
    paths = [folder / f"{name}.tif" for name in names]
    for path in paths:
        check_output(path, overwrite)
    return paths
