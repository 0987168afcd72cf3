"""Denoised images as files: names, provenance, axes and pixel size of the source."""

from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from napari_cosdd._version import __version__
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.files import check_output
from napari_cosdd.images.formats.any import write_image
from napari_cosdd.images.image import Image
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.in_memory import Prediction
from napari_cosdd.prediction.outputs import DEVIATION, MEAN
from napari_cosdd.settings.prediction import PredictionConfig

FORMATS = ("tif", "zarr", "npy")


def result_paths(
    folder: Path, name: str, parts: Sequence[str], file_format: str, overwrite: bool
) -> dict[str, Path]:
    """Name the files of the parts of a prediction, such as NAME-sample-01.tif.

    Raises
    ------
    BadInputError
        If the format is unknown, or a file exists and may not be overwritten.
    """
    if file_format not in FORMATS:
        raise BadInputError(f"format {file_format!r}: expected {', '.join(FORMATS)}")
    numbers = [part.partition(" ")[2] for part in parts]
    width = max(map(len, numbers))
    paths = {}
    for part, number in zip(parts, numbers, strict=True):
        words = [name, part.split()[0], *([number.zfill(width)] if number else [])]
        paths[part] = folder / f"{'-'.join(words)}.{file_format}"
        check_output(paths[part], overwrite)
    return paths


def left_over(paths: Mapping[str, Path]) -> list[Path]:
    """Return files of an earlier run that the new ones do not replace."""
    mean = paths[MEAN]
    name = mean.stem.removesuffix(MEAN)
    found = [
        path
        for kind in (DEVIATION, "sample-*")
        for path in mean.parent.glob(f"{escape(name)}{kind}{mean.suffix}")
    ]
    return sorted(set(found) - set(paths.values()))


def write_prediction(
    paths: Mapping[str, Path], prediction: Prediction, provenance: Mapping[str, Any]
) -> None:
    """Write the parts of a prediction."""
    source, parts = prediction.source, prediction.parts
    for part, path in paths.items():
        image = source.with_data(parts[part], title_of(source, part))
        write_image(path, image, provenance_of(source, part, provenance))


def title_of(source: Image, part: str) -> str:
    """Name a part of a prediction, for its metadata."""
    return f"{source.name} · {part}"


def made_with(
    name: str, model: TrainedModel, config: PredictionConfig
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
