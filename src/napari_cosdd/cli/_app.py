"""Shared by the commands: the application, common options, Ctrl-C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from napari_cosdd._version import __version__
from napari_cosdd.cli._console import PlainConsole
from napari_cosdd.images.filling import Fill
from napari_cosdd.interrupts import ENDING, stop_on

app = typer.Typer(
    help="Remove noise that runs along rows or columns, from noisy images alone "
    "(COSDD, WACV 2025).",
    invoke_without_command=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
#: Where commands print.
console = PlainConsole(markup=False, highlight=False)


def _path(text: str) -> Path:
    """Return a path; an empty one, as of an unset variable, is not this folder."""
    if not text.strip():
        raise typer.BadParameter("an empty name; is a variable of your script not set?")
    return Path(text)


ImagesArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Images (TIFF, zarr, npy), FILE/N for one series of a file, or folders.",
        parser=_path,
    ),
]
AxesOption = Annotated[
    str | None,
    typer.Option(
        help="A letter per axis: S samples, T time, C channels, Z, Y, X. "
        "Default: as the file says, else guessed."
    ),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive", help="Search folders in folders, too.")
]
SalvageOption = Annotated[
    bool,
    typer.Option(
        "--salvage",
        help="Use what is whole of files that are cut short, or of sets of which files "
        "are missing.",
    ),
]
ChannelOption = Annotated[
    str | None,
    typer.Option(
        help="Take this channel alone, from 0; each: take the channels one by one.",
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        help="The part to use: y0:y1,x0:x1 in pixels, or a mask file of the same size, "
        "not zero where the image is to be used.",
    ),
]
FillOption = Annotated[
    Fill | None,
    typer.Option(
        "--fill",
        help="Pixels to fill from their neighbours: missing (NaN) ones, or outliers "
        "(hot and dead pixels, cosmic rays) as well. Default: nothing, or as in the "
        "model's training.",
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Write over files that exist.")
]


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.")
    ] = False,
) -> None:
    """Remove noise that runs along rows or columns, from noisy images alone."""
    if version:
        console.print(f"napari-cosdd {__version__}")
        raise typer.Exit


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Yield a predicate that is true after Ctrl-C; a second Ctrl-C interrupts.

    The signals by which a cluster or a closed terminal ends a program count, too, and
    so does a reader of the output that is gone.
    """

    def tell() -> None:
        with suppress(OSError):  # the terminal may be gone
            console.print(
                "\nstopping in good order; Ctrl-C again to end at once", style="yellow"
            )

    with stop_on(ENDING, tell) as pressed:
        yield lambda: pressed() or console.is_cut_off
