"""`napari-cosdd export`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_cosdd.cli._app import AxesOption, OverwriteOption, app, console
from napari_cosdd.cli._options import Command


@app.command(cls=Command)
def export(
    model: Annotated[Path, typer.Argument(help="Model file from train.")],
    image: Annotated[
        Path,
        typer.Argument(help="Noisy image; a tile of it becomes the package's test."),
    ],
    output: Annotated[Path, typer.Option(help="Package to write.")] = Path(
        "model.bioimageio.zip"
    ),
    axes: AxesOption = None,
    name: Annotated[
        str, typer.Option(help="Name of the package: letters, digits, spaces.")
    ] = "COSDD denoiser",
    author: Annotated[
        list[str] | None, typer.Option(help="Your name; repeat for several.")
    ] = None,
    license_id: Annotated[
        str | None, typer.Option("--license", help="SPDX name, such as CC-BY-4.0.")
    ] = None,
    n_samples: Annotated[
        int,
        typer.Option(help="Samples of the mean, if there is no direct denoiser; even."),
    ] = 8,
    tile_size: Annotated[int, typer.Option(help="Pixels of a tile.", min=16)] = 256,
    overwrite: OverwriteOption = False,
) -> None:
    r"""Write a model for Fiji, QuPath and others: a bioimage.io package.

    Needs: pip install "napari-cosdd\[bioimageio]"
    """
    from napari_cosdd import api
    from napari_cosdd.cli._images import opened_one
    from napari_cosdd.images.files import check_output

    check_output(output, overwrite)
    api.export_bioimageio(
        api.load(model),
        opened_one(image, axes),
        output,
        name=name,
        authors=author or [],
        license_id=license_id,
        n_samples=n_samples,
        tile_size=tile_size,
    )
    console.print(f"wrote {output}")
