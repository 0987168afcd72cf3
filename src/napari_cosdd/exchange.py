"""Models in the format of bioimage.io, for programs that know nothing of ours.

The network goes out as TorchScript, which Fiji, QuPath, ilastik and others run: grey
levels in, grey levels out. It is the direct denoiser where there is one; else the mean
of a few posterior samples whose latent noise is fixed, mirrored pairs that need few
(`docs/measurements.md`). Our own model file travels along, so that nothing is lost on
the way back.
"""

import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_cosdd._version import __version__
from napari_cosdd.axes import SPATIAL, Stack
from napari_cosdd.citation import REFERENCES, cited, methods_paragraph
from napari_cosdd.data.files import atomic
from napari_cosdd.data.image import Image
from napari_cosdd.errors import BadInputError, BadModelFileError, SavingError
from napari_cosdd.inference.denoise import check_fits
from napari_cosdd.inference.latent_noise import PositionNoise
from napari_cosdd.nets.ladder_vae import LatentNoise
from napari_cosdd.training.checkpoint import TrainedModel

#: Our own file within the package; the largest one that is taken out, bytes.
OURS, LARGEST = "model.safetensors", 4 << 30
#: No weights are packed tighter than this.
PACKED = 100
#: What reading a damaged archive may raise.
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(OSError, EOFError, RuntimeError, ValueError),
)
#: Pixels of a tile along each axis, and along z; noise is fixed for this size.
TILE, DEPTH = 256, 16
#: What the package says of the network.
DIRECT = "the direct denoiser's estimate"
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


class GreyLevels(nn.Module):
    """A trained method from grey levels to grey levels, for one size of tile.

    Parameters
    ----------
    model : TrainedModel
        What was learned.
    size : sequence of int
        Of a tile, pixels per spatial axis.
    n_samples : int
        Posterior samples of the mean, in mirrored pairs; 0 asks for the point
        estimate.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: TrainedModel, size: Sequence[int], n_samples: int):
        super().__init__()
        self.method = deepcopy(model.method).requires_grad_(False)
        self.n_samples = n_samples
        scale = model.spec.normalization
        column = (1, -1, *(1,) * len(size))
        self.register_buffer("mean", torch.tensor(scale.mean).reshape(column))
        self.register_buffer("std", torch.tensor(scale.std).reshape(column))
        if n_samples:
            self._keep_noise(size)

    def _keep_noise(self, size: Sequence[int]) -> None:
        """Draw the noise of every level once, to be part of the network."""
        cpu = torch.device("cpu")
        pairs = [k // 2 for k in range(self.n_samples)]
        signs = [1 - 2 * (k % 2) for k in range(self.n_samples)]
        noise = PositionNoise(0, 0, pairs, (0,) * len(size), size, cpu, signs)

        def keep(level: int, shape: torch.Size) -> Tensor:
            self.register_buffer(f"noise_{level}", noise(level, shape))
            return self._noise(level, shape)

        with torch.no_grad():
            self._mean_of_samples(torch.zeros(1, self.mean.numel(), *size), keep)

    def _noise(self, level: int, shape: torch.Size) -> Tensor:
        return self.get_buffer(f"noise_{level}")

    def _mean_of_samples(self, x: Tensor, noise: LatentNoise) -> Tensor:
        method: Any = self.method
        many = [f.expand(self.n_samples, *f.shape[1:]) for f in method.encode(x)]
        return method.sample_posterior(many, noise).mean(0, keepdim=True)

    def forward(self, image: Tensor) -> Tensor:
        """Return the denoised image, shape (1, c, *size), as `image` is."""
        x = (image - self.mean) / self.std
        if self.n_samples:
            s = self._mean_of_samples(x, self._noise)
        else:
            s = self.method.estimate(x)
        return s * self.std + self.mean


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
    network = GreyLevels(
        model, noisy.shape[2:], 0 if model.method.has_estimate else n_samples
    )
    with tempfile.TemporaryDirectory() as there, torch.inference_mode():
        folder = Path(there)
        denoised = _write_script(folder / "network.pt", network, noisy)
        np.save(folder / "noisy.npy", noisy)
        np.save(folder / "denoised.npy", denoised)
        _draw_cover(folder / "cover.png", noisy, denoised)
        model.save(folder / OURS)
        says = DIRECT if network.n_samples == 0 else f"the mean of {n_samples} samples"
        text = README.format(name=name, says=says, methods=methods_paragraph(model))
        (folder / "README.md").write_text(text, encoding="utf-8")
        try:
            with ValidationContext(perform_io_checks=False):
                described = _described(model, folder, noisy, name, authors, license_id)
                with atomic(path) as temporary:
                    temporary.unlink()  # it writes over nothing
                    save_bioimageio_package(described, output_path=temporary)
        except ValueError as error:
            raise BadInputError(f"the package would not be valid: {error}") from error
        except OSError as error:
            raise SavingError(f"{path} could not be written: {error}") from error
    return path


def import_bioimageio(path: Path) -> TrainedModel:
    """Read our own model out of a bioimage.io package. Nothing in it is executed.

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
        taken = Path(folder) / OURS
        taken.write_bytes(content)
        return TrainedModel.load(taken)


def _taken_out(path: Path) -> bytes:
    """Return our file out of a package, if there is one of plausible size."""
    with zipfile.ZipFile(path) as package:
        if OURS not in package.namelist():
            raise BadModelFileError(
                f"{path.name} is a package without {OURS}: it was not written by "
                "napari-cosdd, and only such packages can be read"
            )
        entry = package.getinfo(OURS)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadModelFileError(f"{path.name} is packed in an unknown way")
        if entry.file_size > min(LARGEST, PACKED * path.stat().st_size):
            raise BadModelFileError(f"{path.name}: its model is implausibly large")
        with package.open(OURS) as packed:
            return packed.read(entry.file_size)


def _example(model: TrainedModel, image: Image, tile_size: int) -> NDArray[np.float32]:
    """Return the middle of the first image as one tile, (1, c, *size), grey levels."""
    source = Stack(image.data, image.axes, model.spec.ndim)
    check_fits(model, source)
    if len(source.size) == 1:
        raise BadInputError("models for single lines cannot be exported")
    wanted = [tile_size] * len(source.size)
    if len(wanted) == 3:
        wanted[0] = DEPTH
    margin, multiple = _margin(model), model.method.tile_multiple()
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
            "there are pixels in the middle of the image that are not finite"
        )
    return tile


def _margin(model: TrainedModel) -> tuple[int, ...]:
    """Return the context that a tile needs, pixels per axis."""
    return model.margin or model.method.tile_margin()


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
        torch.jit.save(scripted, str(path))
        return scripted(example).numpy()


def _described(
    model: TrainedModel,
    folder: Path,
    noisy: NDArray[Any],
    name: str,
    authors: Sequence[str],
    license_id: str | None,
) -> Any:
    """Return the package's description."""
    from bioimageio.spec.model import v0_5 as spec

    channels = [spec.Identifier(f"channel{i}") for i in range(model.spec.n_channels)]
    letters = SPATIAL[model.spec.ndim].lower()
    inputs: list[Any] = [spec.BatchAxis(size=1)]
    inputs.append(spec.ChannelAxis(channel_names=channels))
    outputs = list(inputs)
    for letter, n, halo in zip(letters, noisy.shape[2:], _margin(model), strict=True):
        axis = spec.AxisId(letter)
        same = spec.SizeReference(tensor_id=spec.TensorId("noisy"), axis_id=axis)
        inputs.append(spec.SpaceInputAxis(id=axis, size=n))
        outputs.append(spec.SpaceOutputAxisWithHalo(id=axis, size=same, halo=halo))
    return spec.ModelDescr(
        name=name,
        description=f"{model.method.title}: denoises images like those it was trained "
        "on, without clean images",
        authors=[spec.Author(name=author) for author in authors],
        cite=[
            spec.CiteEntry(text=paper.text, doi=spec.Doi(paper.doi))
            for paper in map(REFERENCES.__getitem__, cited(model))
        ],
        license=None if license_id is None else spec.LicenseId(license_id),
        documentation=spec.FileDescr(source=folder / "README.md"),
        covers=[spec.FileDescr(source=folder / "cover.png")],
        attachments=[spec.FileDescr(source=folder / OURS)],
        tags=["denoising", "unsupervised-learning", model.name, "napari-cosdd"],
        version=spec.Version(__version__),
        inputs=[
            spec.InputTensorDescr(
                id=spec.TensorId("noisy"),
                axes=inputs,
                test_tensor=spec.FileDescr(source=folder / "noisy.npy"),
                data=spec.IntervalOrRatioDataDescr(type="float32"),
            )
        ],
        outputs=[
            spec.OutputTensorDescr(
                id=spec.TensorId("denoised"),
                axes=outputs,
                test_tensor=spec.FileDescr(source=folder / "denoised.npy"),
                data=spec.IntervalOrRatioDataDescr(type="float32"),
            )
        ],
        weights=spec.WeightsDescr(
            torchscript=spec.TorchscriptWeightsDescr(
                source=folder / "network.pt",
                pytorch_version=spec.Version(torch.__version__.split("+")[0]),
            )
        ),
    )


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
