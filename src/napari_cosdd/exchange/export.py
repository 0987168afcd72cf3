"""Models in the format of bioimage.io, for programs that know nothing of ours.

The network goes out as TorchScript, which Fiji, QuPath, ilastik and others run: grey
levels in, grey levels out. It is the direct denoiser where there is one; else the mean
of a few posterior samples whose latent noise is fixed, mirrored pairs that need few
(`docs/measurements.md`). Our own model file travels along, so that nothing is lost on
the way back.
"""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_cosdd.checks.methods_paragraph import methods_paragraph
from napari_cosdd.errors import BadInputError, SavingError
from napari_cosdd.exchange.description import About, description
from napari_cosdd.exchange.grey_levels import GreyLevels
from napari_cosdd.images.files import atomic
from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.capabilities import predicts
from napari_cosdd.models.compatibility import check_compatible, refuse_grids
from napari_cosdd.models.load import MODEL_IN_PACKAGE
from napari_cosdd.models.trained_model import TrainedModel

#: Pixels of a tile along y and x, for which the noise is fixed.
TILE = 256
#: Pixels of a tile along z.
DEPTH = 16
README = """# {name}

The network gives {says}, in the grey levels of the image. It is for images of the same
camera and settings as those it was trained on.

# Methods

{methods}
# Validation

`napari-cosdd check` tells, without clean images, whether the result on an image can be
trusted; the model for it is in `model.safetensors`.
"""
MISSING = "this needs bioimageio.spec: pip install 'napari-cosdd[bioimageio]'"


def export_bioimageio(
    model: TrainedModel,
    image: Image,
    path: Path,
    *,
    name: str = "COSDD denoiser",
    authors: Sequence[str] = (),
    license_id: str | None = None,
    n_samples: int = 8,
    tile_size: int = TILE,
) -> Path:
    """Write a model as a bioimage.io package (format 0.5, one zip file).

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    image : Image
        Noisy; a tile of it becomes the package's test and its cover.
    path : Path
        Ends in ".zip"; appears whole or not at all.
    name, authors, license_id
        As the package says them; the licence is an SPDX name such as "CC-BY-4.0".
    n_samples : int
        Of the mean, where there is no direct denoiser; even.
    tile_size : int
        Pixels of a tile, rounded up to what the network needs; at least three times
        its margin.

    Raises
    ------
    BadInputError
        If bioimageio.spec is not installed, the model is for lines, the tile is larger
        than the image or not finite, or the package would not be valid.
    BadModelFileError
        If the model is not for this image.
    SavingError
        If the file cannot be written.
    """
    try:
        from bioimageio.spec import ValidationContext, save_bioimageio_package
    except ImportError as error:
        raise BadInputError(MISSING) from error
    if path.suffix != ".zip":
        raise BadInputError(f"{path.name}: expected a name that ends in .zip")
    if n_samples < 2 or n_samples % 2:
        raise BadInputError(f"{n_samples} samples: expected an even number, from 2 on")
    noisy = _example(model, image, tile_size)
    about = About(name, authors, license_id)
    with tempfile.TemporaryDirectory() as there:
        folder = Path(there)
        _write_content(folder, model, noisy, n_samples, name)
        try:
            with ValidationContext(perform_io_checks=False):
                described = description(
                    about, model, folder, noisy.shape[2:], model.tile_margin
                )
                with atomic(path) as temporary:
                    temporary.unlink()  # it writes over nothing
                    save_bioimageio_package(described, output_path=temporary)
        except ValueError as error:
            raise BadInputError(f"the package would not be valid: {error}") from error
        except OSError as error:
            raise SavingError(f"{path} could not be written: {error}") from error
    return path


def _write_content(
    folder: Path,
    model: TrainedModel,
    noisy: NDArray[np.float32],
    n_samples: int,
    name: str,
) -> None:
    """Write all files of a package but its description."""
    direct = predicts(model.method)
    network = GreyLevels(model, noisy.shape[2:], 0 if direct else n_samples)
    with torch.inference_mode():
        denoised = _write_script(folder / "network.pt", network, noisy)
    np.save(folder / "noisy.npy", noisy)
    np.save(folder / "denoised.npy", denoised)
    _draw_cover(folder / "cover.png", noisy, denoised)
    model.save(folder / MODEL_IN_PACKAGE)
    says = "an estimate in one pass" if direct else f"the mean of {n_samples} samples"
    text = README.format(name=name, says=says, methods=methods_paragraph(model))
    (folder / "README.md").write_text(text, encoding="utf-8")


def _example(model: TrainedModel, image: Image, tile_size: int) -> NDArray[np.float32]:
    """Return the middle of the first image as one tile, (1, c, *size), grey levels."""
    refuse_grids(model, "an export is not possible")
    source = Stack(image.data, image.axes, model.spec.ndim, image.name)
    check_compatible(model, source)
    if len(source.size) == 1:
        raise BadInputError(
            "a model for single lines cannot be exported; expected two or three "
            "spatial axes"
        )
    wanted = [tile_size] * len(source.size)
    if len(wanted) == 3:
        wanted[0] = DEPTH
    margin, multiple = model.tile_margin, model.method.tile_multiple()
    size = [
        -(-max(n, 3 * around) // m) * m
        for n, around, m in zip(wanted, margin, multiple, strict=True)
    ]
    if any(s > n for s, n in zip(size, source.size, strict=True)):
        raise BadInputError(
            f"the image of {' × '.join(map(str, source.size))} pixels is smaller than "
            f"a tile of {' × '.join(map(str, size))}; use a smaller tile size"
        )
    first = [(n - s) // 2 for n, s in zip(source.size, size, strict=True)]
    box = tuple(slice(a, a + s) for a, s in zip(first, size, strict=True))
    tile = source.read(0, box)[None].astype(np.float32)
    if not np.isfinite(tile).all():
        raise BadInputError(
            "the middle of the image has pixels that are not finite (NaN or infinite); "
            "give another image"
        )
    return tile


def _write_script(
    path: Path, network: nn.Module, noisy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Write the network as TorchScript; return what it makes of the image."""
    example = torch.from_numpy(noisy)
    with warnings.catch_warnings():
        # That shapes are fixed, as is meant, and that TorchScript is no longer
        # developed: what runs the packages asks for it.
        warnings.simplefilter("ignore")
        scripted = torch.jit.trace(network.eval(), example, check_trace=False)
        with path.open("wb") as file:  # torch takes no letters beyond ASCII in a path
            torch.jit.save(scripted, file)
        return scripted(example).numpy()


def _draw_cover(
    path: Path, noisy: NDArray[np.float32], denoised: NDArray[np.float32]
) -> None:
    """Draw noisy above, denoised below the diagonal."""
    from matplotlib.image import imsave

    middle = (0, 0, *(n // 2 for n in noisy.shape[2:-2]))
    before, after = noisy[middle], denoised[middle]
    y, x = np.indices(before.shape)
    split = np.where(y * before.shape[1] < x * before.shape[0], before, after)
    low, high = np.percentile(after, [0.5, 99.8])
    imsave(path, split, cmap="gray", vmin=low, vmax=max(high, low + 1e-6))
