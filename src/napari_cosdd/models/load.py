"""Loading a denoiser from a model file, or from a bioimage.io package of ours.

Packages by others are refused: their networks are programs, and untrusted code is not
executed here.
"""

import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

from napari_cosdd.errors import BadInputError, BadModelFileError
from napari_cosdd.models.trained_model import TrainedModel

#: Name of our model file in a bioimage.io package.
MODEL_IN_PACKAGE = "model.safetensors"
#: Largest model that is extracted, bytes.
LARGEST = 4 << 30
#: Largest plausible compression ratio of weights; a higher one marks a damaged file.
PACKED = 100
#: Exceptions that reading a damaged archive may raise.
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(OSError, EOFError, RuntimeError, ValueError),
)


def load(path: Path | str) -> TrainedModel:
    """Read a model file, or the model in a bioimage.io package of ours.

    Raises
    ------
    BadModelFileError
        If the file is damaged, foreign, or of a newer format.
    """
    if zipfile.is_zipfile(path):
        return import_bioimageio(Path(path))
    return TrainedModel.load(path)


def opened_model(model: TrainedModel | Path | str) -> TrainedModel:
    """Return a model, read from its file if it is a path.

    Raises
    ------
    BadInputError
        If it is neither.
    """
    if isinstance(model, (str, Path)):
        return load(model)
    if isinstance(model, TrainedModel):
        return model
    raise BadInputError(
        "expected a trained model (from `fit` or `load`) or the path of its file, got "
        f"{type(model).__name__}"
    )


def import_bioimageio(path: Path) -> TrainedModel:
    """Read our model from a bioimage.io package. Nothing in it is executed.

    Raises
    ------
    BadModelFileError
        If it is damaged, or was not written by napari-cosdd.
    """
    try:
        content = _taken_out(path)
    except UNREADABLE as error:
        raise BadModelFileError(f"{path.name} is damaged ({error})") from error
    with tempfile.TemporaryDirectory() as folder:
        model_file = Path(folder) / MODEL_IN_PACKAGE
        model_file.write_bytes(content)
        return TrainedModel.load(model_file)


def _taken_out(path: Path) -> bytes:
    """Return the content of our file in a package; refuse implausible sizes."""
    with zipfile.ZipFile(path) as package:
        if MODEL_IN_PACKAGE not in package.namelist():
            raise BadModelFileError(
                f"{path.name} is a package without {MODEL_IN_PACKAGE}: it was not "
                "written by napari-cosdd, and only such packages can be read"
            )
        entry = package.getinfo(MODEL_IN_PACKAGE)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadModelFileError(f"{path.name} is packed in an unknown way")
        if entry.file_size > min(LARGEST, PACKED * path.stat().st_size):
            raise BadModelFileError(f"{path.name}: its model is implausibly large")
        with package.open(MODEL_IN_PACKAGE) as packed:
            return packed.read(entry.file_size)
