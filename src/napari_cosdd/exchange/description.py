"""What a bioimage.io package says of itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from napari_cosdd._version import __version__
from napari_cosdd.images.axes import SPATIAL
from napari_cosdd.models.load import MODEL_IN_PACKAGE
from napari_cosdd.models.trained_model import TrainedModel


class About(NamedTuple):
    """What the user says of a package.

    Attributes
    ----------
    name : str
        Letters, digits, spaces.
    authors : sequence of str
        Names.
    license_id : str or None
        SPDX name, such as "CC-BY-4.0".
    """

    name: str
    authors: Sequence[str]
    license_id: str | None


def description(
    about: About,
    model: TrainedModel,
    folder: Path,
    size: Sequence[int],
    margin: Sequence[int],
) -> Any:
    """Return a description of the files in a folder, as bioimageio.spec has it.

    Parameters
    ----------
    size, margin : sequence of int
        Of a tile, and what of it the network spoils; pixels per spatial axis.

    Raises
    ------
    ValueError
        If the package would not be valid.
    """
    from bioimageio.spec.model import v0_5 as spec

    noisy, denoised = _axes(model, size, margin)
    return spec.ModelDescr(
        name=about.name,
        description=f"{model.method.title}: denoises images like those it was trained "
        "on, without clean images",
        authors=[spec.Author(name=author) for author in about.authors],
        cite=[
            spec.CiteEntry(text=paper.text, doi=spec.Doi(paper.doi))
            for paper in model.method.papers()
        ],
        license=None if about.license_id is None else spec.LicenseId(about.license_id),
        documentation=spec.FileDescr(source=folder / "README.md"),
        covers=[spec.FileDescr(source=folder / "cover.png")],
        attachments=[spec.FileDescr(source=folder / MODEL_IN_PACKAGE)],
        tags=["denoising", "unsupervised-learning", model.name, "napari-cosdd"],
        version=spec.Version(__version__),
        inputs=[_tensor(spec.InputTensorDescr, "noisy", noisy, folder)],
        outputs=[_tensor(spec.OutputTensorDescr, "denoised", denoised, folder)],
        weights=spec.WeightsDescr(
            torchscript=spec.TorchscriptWeightsDescr(
                source=folder / "network.pt",
                pytorch_version=spec.Version(torch.__version__.split("+")[0]),
            )
        ),
    )


def _axes(
    model: TrainedModel, size: Sequence[int], margin: Sequence[int]
) -> tuple[list[Any], list[Any]]:
    """Return the axes of the network's input and of its output."""
    from bioimageio.spec.model import v0_5 as spec

    channels = [spec.Identifier(f"channel{i}") for i in range(model.spec.n_channels)]
    inputs: list[Any] = [spec.BatchAxis(size=1)]
    inputs.append(spec.ChannelAxis(channel_names=channels))
    outputs = list(inputs)
    letters = SPATIAL[model.spec.ndim].lower()
    for letter, n, halo in zip(letters, size, margin, strict=True):
        axis = spec.AxisId(letter)
        same = spec.SizeReference(tensor_id=spec.TensorId("noisy"), axis_id=axis)
        inputs.append(spec.SpaceInputAxis(id=axis, size=n))
        outputs.append(spec.SpaceOutputAxisWithHalo(id=axis, size=same, halo=halo))
    return inputs, outputs


def _tensor(kind: Any, name: str, axes: list[Any], folder: Path) -> Any:
    """Describe an input or output, whose test lies in `name`.npy."""
    from bioimageio.spec.model import v0_5 as spec

    return kind(
        id=spec.TensorId(name),
        axes=axes,
        test_tensor=spec.FileDescr(source=folder / f"{name}.npy"),
        data=spec.IntervalOrRatioDataDescr(type="float32"),
    )
