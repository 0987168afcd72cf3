"""`napari-cosdd evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from napari_cosdd.cli._app import (
    OverwriteOption,
    app,
    console,
)
from napari_cosdd.cli._options import Command


@app.command(cls=Command)
def evaluate(
    image: Annotated[Path, typer.Argument(help="Denoised image.")],
    reference: Annotated[Path, typer.Argument(help="Clean image of the same scene.")],
    noisy: Annotated[
        Path | None, typer.Option(help="Noisy image: judges the residual, too.")
    ] = None,
    peak: Annotated[
        float | None, typer.Option(help="Peak for PSNR; default: reference's range.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the numbers (.json).")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Score a denoised image against a reference: PSNR, SSIM, residual."""
    from napari_cosdd.images.files import check_output, check_suffix, write_json
    from napari_cosdd.metrics import score
    from napari_cosdd.noise_analysis.autocorrelation import autocorrelation

    if output is not None:
        check_suffix(output, ".json")
        check_output(output, overwrite)
    a, b = _planes(image), _planes(reference)
    scores = score(a, b, peak)
    numbers: dict[str, Any] = scores._asdict()
    console.print(f"PSNR                        {scores.psnr:.2f} dB")
    console.print(f"PSNR after gain and offset  {scores.psnr_affine:.2f} dB")
    console.print(f"SSIM                        {scores.ssim:.4f}")
    if noisy is not None:
        x = _planes(noisy)
        before = score(x, b, peak)
        console.print(f"PSNR of the noisy image     {before.psnr:.2f} dB")
        planes = (x - a).reshape(-1, *x.shape[-2:])
        correlation = autocorrelation(planes, min(25, min(planes.shape[1:]) // 2))
        for name, profile in (
            ("row", correlation.along_x),
            ("column", correlation.along_y),
        ):
            values = " ".join(f"{v:.2f}" for v in profile[1:6])
            console.print(f"residual along a {name:7}   {values}")
            numbers[f"residual_{name}"] = profile[1:6].tolist()
        numbers["psnr_noisy"] = before.psnr
    if output is not None:
        write_json(output, numbers)


def _planes(path: Path) -> NDArray[np.float64]:
    """Read an image as planes, (n, c, y, x)."""
    from napari_cosdd.cli._images import opened_one
    from napari_cosdd.images.inputs import stack_of

    stack = stack_of(opened_one(path), 2, "nothing")
    planes = [stack.read(n) for n in range(stack.n_images)]
    return np.stack(planes).astype(np.float64)
