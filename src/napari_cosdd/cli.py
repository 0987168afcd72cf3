"""The command line: a thin reader of the same events as the docks."""

import signal
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from napari_cosdd._options import field_options
from napari_cosdd._progress import show_denoising, show_training
from napari_cosdd._version import __version__
from napari_cosdd.errors import CosddError

app = typer.Typer(
    help="Remove noise that runs along rows or columns, from noisy images alone "
    "(COSDD, WACV 2025).",
    invoke_without_command=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()

ImagesArgument = Annotated[
    list[Path], typer.Argument(help="Images (TIFF, zarr, npy) or folders of them.")
]
AxesOption = Annotated[
    str | None,
    typer.Option(
        help="A letter per axis: S samples, T time, C channels, Z, Y, X. "
        "Default: as the file says, else guessed."
    ),
]
MaskOption = Annotated[
    bool, typer.Option("--mask", help="Fill pixels that are not finite (NaN).")
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
        console.print(f"napari-cosdd {__version__}", highlight=False)
        raise typer.Exit


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Give a predicate that Ctrl-C makes true; a second Ctrl-C ends at once."""
    pressed = False

    def press(number: int, frame: types.FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        console.print("\n[yellow]stopping in good order; Ctrl-C again to end at once")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@app.command()
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
        Path | None, typer.Option(help="Look at the residual of this model instead.")
    ] = None,
    mask: MaskOption = False,
    output: Annotated[
        Path | None, typer.Option(help="Write the numbers (.json) or a picture (.png).")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Tell whether the noise runs along rows, columns or not at all."""
    from napari_cosdd import api, pictures

    box = _region(region)
    paths = [p for given in images for p in api.find_images(given)]
    names = api.distinct_names(paths)
    looks: list[tuple[str, list[Path]]] = [
        (name, [path]) for name, path in zip(names, paths, strict=True)
    ]
    if frames and len(paths) > 1:
        looks = [(f"{len(paths)} frames", paths)]
    targets = [_numbered(output, name, len(looks) > 1) for name, _ in looks]
    for target in targets:
        pictures.check_report(target, overwrite)
    for (name, files), target in zip(looks, targets, strict=True):
        found = api.analyze(
            files, axes=axes, region=box, frames=frames, model=model, mask=mask
        )
        console.print(f"[bold]{name}[/] ({found.source})")
        console.print(found.advice.sentence)
        error = found.correlation.standard_error
        for line, profile in (
            ("rows   ", found.correlation.along_x),
            ("columns", found.correlation.along_y),
        ):
            values = " ".join(f"{v:6.2f}" for v in profile[1:9])
            console.print(f"  {line}: {values}   (± {error:.3f})", highlight=False)
        if target is not None:
            pictures.write_report(target, found)


@app.command()
@field_options("method", "training")
def train(
    images: ImagesArgument,
    output: Annotated[
        Path, typer.Option(help="Model file to write.", show_default=True)
    ] = Path("model.safetensors"),
    method: Annotated[str, typer.Option(help="cosdd or n2v.")] = "cosdd",
    preset: Annotated[
        str,
        typer.Option(
            help="cosdd: quick (laptop), small, large (GPU); n2v: quick, point."
        ),
    ] = "quick",
    recipe: Annotated[
        Path | None, typer.Option(help="Settings from a file instead of a preset.")
    ] = None,
    write_recipe: Annotated[
        Path | None, typer.Option(help="Write the settings to a file and stop.")
    ] = None,
    axes: AxesOption = None,
    ndim: Annotated[
        int, typer.Option(help="2: planes one by one; 3: stacks with z; 1: lines.")
    ] = 2,
    mask: MaskOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted training.")
    ] = False,
    start_from: Annotated[
        Path | None,
        typer.Option(help="Begin with the weights of this model, not at random."),
    ] = None,
    overwrite: OverwriteOption = False,
    **settings: Any,
) -> None:
    """Train a denoiser on noisy images alone. Ctrl-C stops and keeps the model."""
    from napari_cosdd import api
    from napari_cosdd.data.files import check_output
    from napari_cosdd.recipe import Recipe

    chosen = Recipe.read(recipe) if recipe else Recipe.preset(method, preset)
    chosen = api.with_settings(chosen, settings)
    if write_recipe is not None:
        check_output(write_recipe, overwrite)
        chosen.write(write_recipe)
        console.print(f"wrote {write_recipe}")
        return
    if not resume:
        check_output(output, overwrite)
    opened = [i for path in images for i in api.as_images(path, axes)]
    start = None if start_from is None else api.load(start_from)
    job = api.prepare_training(opened, chosen, ndim=ndim, mask=mask, start=start)
    with stoppable() as stop:
        events = job.run(output=output, resume=resume, stop=stop)
        show_training(console, job, events)
        if stop():
            raise typer.Exit(130)


@app.command()
@field_options("inference")
def denoise(
    model: Annotated[Path, typer.Argument(help="Model file from train.")],
    images: ImagesArgument,
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(
        "denoised"
    ),
    axes: AxesOption = None,
    dtype: Annotated[
        str, typer.Option(help="Of the results: float32, or same as the source.")
    ] = "float32",
    file_format: Annotated[
        str, typer.Option("--format", help="tif, zarr or npy.")
    ] = "tif",
    mask: MaskOption = False,
    overwrite: OverwriteOption = False,
    **settings: Any,
) -> None:
    """Write the mean, the deviation and single samples of images."""
    from napari_cosdd import api
    from napari_cosdd.results import result_paths, write_prediction

    trained = api.load(model)
    config = api.inference_config({k: v for k, v in settings.items() if v is not None})
    paths = [p for given in images for p in api.find_images(given)]
    names = api.distinct_names(paths)
    for name in names:
        result_paths(output, name, config, file_format, overwrite)
    output.mkdir(parents=True, exist_ok=True)
    with stoppable() as stop:
        for path, name in zip(paths, names, strict=True):
            image = replace(api.as_images(path, axes)[0], name=name)
            if image.note:
                console.print(f"[yellow]Note:[/] {image.note}", highlight=False)
            events = api.denoising(
                trained, image, config, dtype=dtype, mask=mask, stop=stop
            )
            prediction = show_denoising(console, image.name, events)
            if prediction is None:
                console.print(f"{name} was not finished and is not written")
                raise typer.Exit(130)
            results = result_paths(output, name, config, file_format, overwrite)
            provenance = {"model": model.name, "settings": config.model_dump()}
            for written in write_prediction(results, prediction, provenance):
                console.print(f"wrote {written}")


@app.command()
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
    from napari_cosdd.data.io import write_image
    from napari_cosdd.inference.generate import generate_images, redraw_noise
    from napari_cosdd.results import check_outputs

    trained = api.load(model)
    if like is None:
        names = ["generated-clean", "generated-noisy"]
        paths = check_outputs(output, names, overwrite)
        made = list(generate_images(trained, n, size, seed))
    else:
        image = api.as_images(like, axes)[0]
        names = [f"{image.name}-redrawn-{k + 1}" for k in range(n)]
        paths = check_outputs(output, names, overwrite)
        made = redraw_noise(trained, image, n, seed)
    output.mkdir(parents=True, exist_ok=True)
    for path, drawn in zip(paths, made, strict=True):
        write_image(path, drawn)
        console.print(f"wrote {path}")


@app.command()
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
    from napari_cosdd import api
    from napari_cosdd.data.files import check_output, write_json
    from napari_cosdd.metrics import score
    from napari_cosdd.noise.autocorrelation import autocorrelation

    if output is not None:
        check_output(output, overwrite)
    a = np.asarray(api.as_images(image)[0].data)
    b = np.asarray(api.as_images(reference)[0].data)
    scores = score(a, b, peak)
    numbers: dict[str, Any] = scores._asdict()
    console.print(f"PSNR                        {scores.psnr:.2f} dB")
    console.print(f"PSNR after gain and offset  {scores.psnr_affine:.2f} dB")
    console.print(f"SSIM                        {scores.ssim:.4f}")
    if noisy is not None:
        x = np.asarray(api.as_images(noisy)[0].data).astype(np.float64)
        before = score(x, b, peak)
        console.print(f"PSNR of the noisy image     {before.psnr:.2f} dB")
        planes = (x - a).reshape(-1, *x.shape[-2:])
        found = autocorrelation(planes, min(25, min(planes.shape[1:]) // 2))
        for name, profile in (("row", found.along_x), ("column", found.along_y)):
            values = " ".join(f"{v:.2f}" for v in profile[1:6])
            console.print(f"residual along a {name:7}   {values}", highlight=False)
            numbers[f"residual_{name}"] = profile[1:6].tolist()
        numbers["psnr_noisy"] = before.psnr
    if output is not None:
        write_json(output, numbers)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(
        "cosdd-demo"
    ),
    minutes: Annotated[
        float, typer.Option(help="Time to train.", min=0.05, max=600)
    ] = 4.0,
    n_samples: Annotated[int, typer.Option(help="Samples of the mean.", min=2)] = 30,
    show: Annotated[
        bool, typer.Option("--show/--no-show", help="Open napari at the end.")
    ] = True,
    overwrite: OverwriteOption = False,
) -> None:
    """Train and denoise the bundled nuclei for a few minutes, and show the result."""
    from napari_cosdd.demo import run_demo

    with stoppable() as stop:
        run_demo(console, output, minutes, n_samples, overwrite, show, stop)


def _region(text: str | None) -> tuple[slice, slice] | None:
    if text is None:
        return None
    try:
        y, x = (slice(*map(int, part.split(":"))) for part in text.split(","))
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(f"expected y0:y1,x0:x1, got {text!r}") from error
    return y, x


def _numbered(path: Path | None, name: str, several: bool) -> Path | None:
    if path is None:
        return None
    return path.with_name(f"{path.stem}-{name}{path.suffix}") if several else path


def main() -> None:
    """Run a command; errors of ours become one sentence and exit code 1."""
    try:
        app()
    except CosddError as error:
        Console(stderr=True).print(f"[red]Error:[/] {error}", highlight=False)
        sys.exit(1)
    except OSError as error:
        Console(stderr=True).print(
            f"[red]Error:[/] a file could not be read or written: {error}",
            highlight=False,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
