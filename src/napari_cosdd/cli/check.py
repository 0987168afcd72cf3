"""`napari-cosdd check`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_cosdd.cli._app import (
    AxesOption,
    ChannelOption,
    FillOption,
    OverwriteOption,
    SalvageOption,
    app,
    console,
    stoppable,
)
from napari_cosdd.cli._options import Command

#: Exit code if a finding speaks against the result.
WANTS_A_LOOK = 3


@app.command(cls=Command)
def check(
    model: Annotated[Path, typer.Argument(help="Model file from train.")],
    image: Annotated[Path, typer.Argument(help="Noisy image.")],
    axes: AxesOption = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Clean image of the same scene: gives PSNR, SSIM, and how often it "
            "lies in the posterior's intervals."
        ),
    ] = None,
    fill: FillOption = None,
    channel: ChannelOption = None,
    salvage: SalvageOption = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    output: Annotated[
        Path | None,
        typer.Option(help="Write a page of plots (.png) or the numbers (.json)."),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Tell whether a model's result can be trusted, without ground truth.

    Exit code 3 says that something speaks against it.
    """
    from napari_cosdd import api
    from napari_cosdd.checks.page import write_check
    from napari_cosdd.cli import _pictures
    from napari_cosdd.cli._images import opened_one
    from napari_cosdd.images.selection import channel_from

    _pictures.check_report(output, overwrite)
    trained = api.load(model)
    opened = opened_one(image, axes, salvage=salvage)
    truth = None if reference is None else opened_one(reference, axes)
    with stoppable() as stop:
        result = api.check(
            opened,
            trained,
            reference=truth,
            fill=fill,
            channel=channel_from(channel),
            device=device,
            stop=stop,
        )
    if output is not None:
        write_check(output, result)
    for finding in result.findings:
        style = "bold yellow" if finding.passed is False else "bold"
        console.print(finding.heading, style=style)
        console.print(f"    {finding.text}")
    for line in result.against_reference:
        console.print(line)
    console.print(f"{result.grade.capitalize()}. {result.verdict}")
    if output is not None:
        console.print(f"wrote {output}")
    if not result.passed:
        raise typer.Exit(WANTS_A_LOOK)
