"""Denoised images as files: names, provenance, axes and pixel size of the source."""

import json
import math
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import TiffFile

from napari_cosdd._version import __version__
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.files import check_output, check_space
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.formats.any import write_image
from napari_cosdd.images.formats.ome_xml import description_of
from napari_cosdd.images.image import Image
from napari_cosdd.images.normalization import as_type
from napari_cosdd.methods.outputs import DEVIATION, MEAN, Output
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.in_memory import Prediction
from napari_cosdd.settings.prediction import PredictionConfig

FORMATS = ("tif", "zarr", "npy")
#: Size of denoised images on disk, relative to float32.
COMPRESSED = 0.7


def result_paths(
    folder: Path,
    name: str,
    outputs: Sequence[Output],
    file_format: str,
    overwrite: bool,
) -> dict[Output, Path]:
    """Return the files of a prediction's outputs, such as NAME-sample-01.tif.

    Raises
    ------
    BadInputError
        If the format is unknown, or a file exists and may not be overwritten.
    """
    if file_format not in FORMATS:
        raise BadInputError(f"format {file_format!r}: expected {', '.join(FORMATS)}")
    n_samples = sum(output.role == "sample" for output in outputs)
    width = len(str(n_samples))
    paths = {}
    for output in outputs:
        word = output.name.replace(" ", "-")
        if output.index is not None:
            word = f"{output.role}-{output.index + 1:0{width}}"
        paths[output] = folder / f"{name}-{word}.{file_format}"
        check_output(paths[output], overwrite)
    return paths


def check_room(paths: Mapping[Output, Path], image: Image) -> None:
    """Refuse work whose results have no room on their disk.

    Raises
    ------
    SavingError
        If there is less room than compressed results usually take.
    """
    pixels = math.prod(image.data.shape)
    size = np.dtype(np.float32).itemsize * pixels * len(paths)
    check_space(next(iter(paths.values())).parent, round(COMPRESSED * size))


def read_provenance(path: Path) -> dict[str, Any]:
    """Return the provenance in the OME-TIFF of a result; empty for other files."""
    try:
        with TiffFile(path) as file:
            text = file.ome_metadata or ""
        found = json.loads(description_of(text, path.name)) if text else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def left_over(paths: Mapping[Output, Path]) -> list[Path]:
    """Return result files of an earlier run that `paths` does not include."""
    mean = paths[MEAN]
    name = mean.stem.removesuffix(MEAN.name)
    existing = [
        path
        for kind in (DEVIATION.name, "sample-*")
        for path in mean.parent.glob(f"{escape(name)}{kind}{mean.suffix}")
    ]
    return sorted(set(existing) - set(paths.values()))


def write_prediction(
    paths: Mapping[Output, Path],
    prediction: Prediction,
    provenance: Mapping[str, Any],
    dtype: np.dtype[Any] | None = None,
) -> None:
    """Write the outputs of a prediction.

    Parameters
    ----------
    paths : mapping of Output to Path
        Which outputs to write, and where.
    prediction : Prediction
        The outputs.
    provenance : mapping
        Model and settings, for the metadata.
    dtype : dtype, optional
        Type of estimates and samples; None: as they are.
    """
    source = prediction.source
    for output, path in paths.items():
        pixels = prediction.outputs[output]
        if dtype is not None and output.role in ("estimate", "sample"):
            pixels = as_type(pixels, dtype)
        image = source.with_result(pixels, title_of(source, output))
        write_image(path, image, provenance_of(source, output, provenance))


def title_of(source: Image, output: Output) -> str:
    """Return the title of an output, for its metadata."""
    return f"{source.name} · {output.name}"


def made_with(
    name: str, model: TrainedModel, config: PredictionConfig, fill: Fill
) -> dict[str, Any]:
    """Return the model and settings that reproduce the same pixels."""
    return {
        "model": name,
        "model_hash": model.fingerprint,
        "settings": config.model_dump(),
        "fill": fill,
    }


def provenance_of(
    source: Image, output: Output, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the provenance in an output's file."""
    ours = {"napari_cosdd": __version__, "source": source.name, "part": output.name}
    return {**ours, **provenance}


def check_outputs(folder: Path, names: Sequence[str], overwrite: bool) -> list[Path]:
    """Return the OME-TIFF files of these names; refuse existing ones."""
    paths = [folder / f"{name}.tif" for name in names]
    for path in paths:
        check_output(path, overwrite)
    return paths
