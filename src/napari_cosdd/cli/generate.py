"""`napari-cosdd generate`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_cosdd.cli._app import AxesOption, OverwriteOption, app, console
from napari_cosdd.cli._options import Command


@app.command(cls=Command)
def generate(
    model: Annotated[Path, typer.Argument(help="Model file from train.")],
    output: Annotated[Path, typer.Option(help="Folder for the images.")] = Path(
        "generated"
    ),
    like: Annotated[
        Path | None,
        typer.Option(help="Redraw the noise of this image instead: same signal."),
    ] = None,
    n: Annotated[int, typer.Option(help="How many images.", min=1, max=1000)] = 4,
    size: Annotated[int, typer.Option(help="Width and height, pixels.", min=16)] = 256,
    axes: AxesOption = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw new images from the model: clean and noisy, or fresh noise on an image."""
    from napari_cosdd import api
    from napari_cosdd.cli._images import opened_one
    from napari_cosdd.images.formats.any import write_image
    from napari_cosdd.prediction.generate import generate_images, redraw_noise
    from napari_cosdd.prediction.result_files import check_outputs

    trained = api.load(model)
    if like is None:
        names = ["generated-clean", "generated-noisy"]
        paths = check_outputs(output, names, overwrite)
        results = list(generate_images(trained, n, size, seed))
    else:
        image = opened_one(like, axes)
        names = [f"{image.name}-redrawn-{k + 1}" for k in range(n)]
        paths = check_outputs(output, names, overwrite)
        results = redraw_noise(trained, image, n, seed)
    output.mkdir(parents=True, exist_ok=True)
    for path, result in zip(paths, results, strict=True):
        write_image(path, result)
        console.print(f"wrote {path}")
