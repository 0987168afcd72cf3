"""`napari-cosdd psf`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_cosdd.cli._app import AxesOption, app, console
from napari_cosdd.cli._options import Command


@app.command(cls=Command)
def psf(
    beads: Annotated[
        Path | None, typer.Argument(help="Image of beads in focus, a single plane.")
    ] = None,
    aperture: Annotated[
        float | None, typer.Option("--na", help="Numerical aperture.")
    ] = None,
    wavelength: Annotated[
        float | None, typer.Option(help="Emission wavelength, nm.")
    ] = None,
    excitation: Annotated[
        float | None,
        typer.Option(
            help="Excitation wavelength, nm, of a confocal microscope with a small "
            "pinhole."
        ),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(help="Deviation of the point spread function, nm, if known."),
    ] = None,
    bead: Annotated[float, typer.Option(help="Diameter of the beads, nm.", min=0)] = 0,
    pixel_size: Annotated[
        float | None,
        typer.Option(help="Side of a pixel in the sample, nm; else as in the image."),
    ] = None,
    axes: AxesOption = None,
) -> None:
    """Find the width of the point spread function that deconoising takes.

    From an image of beads, from the optics (--na, --wavelength, --pixel-size), or
    from a known deviation (--sigma, --pixel-size).
    """
    import numpy as np

    from napari_cosdd.cli._images import opened_one
    from napari_cosdd.errors import BadInputError
    from napari_cosdd.images.point_spread import from_beads, from_optics, from_sigma

    if beads is not None:
        image = opened_one(beads, axes)
        if pixel_size is None:
            pixel_size = image.pixel_nm
        if bead and pixel_size is None:
            raise BadInputError(f"--bead needs --pixel-size: {beads} does not name it")
        plane = np.squeeze(np.asarray(image.data))
        width = from_beads(plane, bead / pixel_size if pixel_size else 0.0)
    elif pixel_size is None:
        raise BadInputError(
            "expected an image of beads, or --pixel-size with --na and --wavelength, "
            "or with --sigma"
        )
    elif sigma is not None:
        width = from_sigma(sigma, pixel_size)
    elif aperture is None or wavelength is None:
        raise BadInputError("the optics need --na and --wavelength")
    else:
        width = from_optics(aperture, wavelength, pixel_size, excitation)
    size = f" ({width * pixel_size:.4g} nm)" if pixel_size else ""
    console.print(
        f"the point spread function has a standard deviation of {width:.3g} px{size}"
    )
    console.print(f"train with: --method deconoising --psf {width:.3g}")
