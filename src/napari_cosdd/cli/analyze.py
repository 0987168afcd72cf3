"""`napari-cosdd analyze`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_cosdd.cli._app import (
    AxesOption,
    ChannelOption,
    FillOption,
    ImagesArgument,
    OverwriteOption,
    RecursiveOption,
    SalvageOption,
    app,
    console,
)
from napari_cosdd.cli._options import Command

if TYPE_CHECKING:
    from napari_cosdd.noise_analysis.report import NoiseReport


@app.command(cls=Command)
def analyze(
    images: ImagesArgument,
    axes: AxesOption = None,
    region: Annotated[
        str | None,
        typer.Option(help="Where there is only noise: y0:y1,x0:x1 in pixels."),
    ] = None,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="Repeats of a static scene: a series, or a file for each frame.",
        ),
    ] = False,
    model: Annotated[
        Path | None, typer.Option(help="Analyze the residual of this model instead.")
    ] = None,
    fill: FillOption = None,
    channel: ChannelOption = None,
    salvage: SalvageOption = False,
    recursive: RecursiveOption = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the numbers (.json) or a picture (.png).")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Tell whether the noise runs along rows, columns or not at all."""
    from napari_cosdd import api
    from napari_cosdd.cli import _pictures
    from napari_cosdd.cli._images import Failures, found, opened
    from napari_cosdd.images.selection import channel_from, rectangle_from

    box = None if region is None else rectangle_from(region)
    if region is not None and box is None:
        raise typer.BadParameter(f"expected y0:y1,x0:x1, got {region!r}")
    paths = found(images, recursive, salvage=salvage)
    names = api.distinct_names(paths)
    looks: list[tuple[str, list[Path]]] = [
        (name, [path]) for name, path in zip(names, paths, strict=True)
    ]
    if frames and len(paths) > 1:
        looks = [(f"{len(paths)} frames", paths)]
    targets = [_numbered(output, name, len(looks) > 1) for name, _ in looks]
    for target in targets:
        _pictures.check_report(target, overwrite)
    failures = Failures(len(looks))
    for (name, files), target in zip(looks, targets, strict=True):
        with failures.named(name):
            report = api.analyze(
                opened(files, axes, salvage=salvage),
                region=box,
                frames=frames,
                model=model,
                fill=fill,
                channel=channel_from(channel),
            )
            _show(name, report)
            if target is not None:
                _pictures.write_report(target, report)
                console.print(f"wrote {target}")
    failures.check()


def _show(name: str, report: "NoiseReport") -> None:
    """Print the advice, and the autocorrelation at lags 1 to 8."""
    from napari_cosdd.methods.advice import advise

    console.print(f"{name} ({report.source})", style="bold")
    console.print(f"{advise(report.facts)} {report.left_out}".rstrip())
    error = report.correlation.standard_error
    for line, profile in (
        ("rows   ", report.correlation.along_x),
        ("columns", report.correlation.along_y),
    ):
        values = " ".join(f"{v:6.2f}" for v in profile[1:9])
        console.print(f"  {line}: {values}   (± {error:.3f})")


def _numbered(path: Path | None, name: str, several: bool) -> Path | None:
    if path is None:
        return None
    return path.with_name(f"{path.stem}-{name}{path.suffix}") if several else path
