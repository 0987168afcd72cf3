"""`python -m benchmarks`: see `python -m benchmarks --help`."""

from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks import (
    advice,
    busy,
    faults,
    fmd,
    gpu,
    limit,
    movie,
    papers,
    papers_tasks,
    pretrained,
    psf,
    quality,
    real,
    receptive_field,
    speed,
    table,
    views,
)
from benchmarks.common import NOISES, SETS

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(width=160)
Minutes = Annotated[float, typer.Option(help="Training time of each.", min=0.01)]
Seed = Annotated[
    int, typer.Option(help="Of the training; the noise is always the same.")
]


@app.callback()
def threads(n: Annotated[int, typer.Option("--threads")] = 2) -> None:
    """Benchmarks of napari-cosdd; results go to benchmarks/results."""
    torch.set_num_threads(n)


@app.command("quality")
def quality_command(
    sets: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(SETS),
    noises: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(NOISES),
    methods: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(
        quality.METHODS
    ),
    minutes: Annotated[
        float,
        typer.Option(
            help="Training time of each; 0: as long as the preset says (COSDD only).",
            min=0,
        ),
    ] = 5.0,
    seed: Seed = 0,
) -> None:
    """PSNR over time against tuned filters and a supervised network."""
    own_length = {"cosdd", "cosdd-cold"}
    if not minutes and not set(methods.split(",")) <= own_length:
        raise typer.BadParameter("--minutes 0 goes with --methods cosdd,cosdd-cold")
    quality.run(
        console, sets.split(","), noises.split(","), methods.split(","), minutes, seed
    )


@app.command("papers")
def papers_command(
    minutes: Minutes = 2.0,
    tasks: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(
        papers_tasks.tasks()
    ),
    methods: Annotated[str, typer.Option(help="Separated by semicolons.")] = ";".join(
        papers.METHODS
    ),
    seeds: Annotated[str, typer.Option(help="Comma-separated.")] = "0",
    show: Annotated[
        bool, typer.Option("--show", help="Only print the table and draw the pictures.")
    ] = False,
) -> None:
    """Compare the methods of the papers, as a table and as pictures."""
    names, chosen = tasks.split(","), methods.split(";")
    for seed in [] if show else seeds.split(","):
        papers.run(console, names, chosen, minutes, int(seed))
    typer.echo(papers.markdown())
    for name in names:
        papers.picture(name, chosen)


@app.command("views")
def views_command() -> None:
    """Shifted and flipped views against one, and whether noise has a direction."""
    views.run(console)


@app.command("psf")
def psf_command(minutes: Minutes = 2.0, data: str = "w2s", seed: Seed = 0) -> None:
    """DecoNoising with widths of the point spread that are wrong."""
    psf.run(console, minutes, data, seed)


@app.command("limit")
def limit_command(
    minutes: Minutes = 10.0,
    seed: Seed = 0,
    methods: Annotated[
        str, typer.Option(help="Comma-separated: cosdd, hdn, pn2v.")
    ] = "cosdd",
    row: Annotated[
        float, typer.Option(help="Deviation of the row noise; 0: independent noise.")
    ] = limit.ROW,
) -> None:
    """Gap to the Bayes limit on Gaussian fields."""
    for method in methods.split(","):
        limit.run(console, minutes, seed, method, row)


@app.command("receptive-field")
def receptive_field_command(
    minutes: Minutes = 2.0, data: str = "w2s", noise: str = "checkerboard"
) -> None:
    """Receptive fields too short, right, longer and two-dimensional."""
    receptive_field.run(console, minutes, data, noise)


@app.command("real")
def real_command(minutes: Minutes = 5.0, what: str = "nuclei,twophoton,tirf") -> None:
    """Real images: repeats of a static scene, and the bundled nuclei."""
    real.run(console, minutes, what.split(","))


@app.command("advice")
def advice_command() -> None:
    """Compare the advice on the noise with the truth, simulated and real."""
    advice.run(console)


@app.command("fmd")
def fmd_command(
    kinds: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(fmd.KINDS),
    methods: Annotated[
        str,
        typer.Option(help="Comma-separated: filters, axes of COSDD, or n2v."),
    ] = ",".join(fmd.METHODS),
    minutes: Annotated[
        float, typer.Option(help="Training time of each; 0: as long as the preset.")
    ] = 0.0,
    seed: Seed = 0,
) -> None:
    """Score published images with repeats (FMD) by the PSNR as published."""
    fmd.run(console, kinds.split(","), methods.split(","), minutes, seed)


@app.command("busy")
def busy_command(
    seconds: Annotated[float, typer.Option(help="Length of each training.")] = 20.0,
    rounds: Annotated[int, typer.Option(help="Trainings of each way.")] = 2,
) -> None:
    """Train beside a busy program: threads adapted, fixed to all cores, and one."""
    busy.run(console, seconds, rounds)


@app.command("movie")
def movie_command(
    minutes: Annotated[
        float, typer.Option(help="Training time; 0: as long as the preset.")
    ] = 0.0,
    seed: Seed = 0,
) -> None:
    """Measure brightness and amplitudes of a simulated calcium movie."""
    movie.run(console, minutes, seed)


@app.command("gui")
def gui_command(
    seconds: Annotated[float, typer.Option(help="Of each training.")] = 20.0,
    rounds: int = 3,
) -> None:
    """Gaps of the event loop and speed while training in napari's window."""
    from benchmarks import gui  # not everywhere is a window

    gui.run(console, seconds, rounds)


@app.command("pretrained")
def pretrained_command(
    minutes: Minutes = 2.0, what: str = "untrained,flat,stem,twophoton"
) -> None:
    """Trainings from the pretrained network and from random weights, compared."""
    pretrained.run(console, minutes, what.split(","))


@app.command("speed")
def speed_command(
    what: str = "steps,samples,pairs,noise,growth,huge,seams,memory", rounds: int = 5
) -> None:
    """Training steps, samples, mirrored pairs, noise, growth, huge images, seams."""
    speed.run(console, what.split(","), rounds)


@app.command("gpu")
def gpu_command(
    parts: str = "graphs,steps,samples,parity,quality",
    tasks: Annotated[
        str, typer.Option(help="Sets and noises, or a single training: w2s/rows:quick.")
    ] = ",".join(gpu.TASKS),
    minutes: Annotated[float, typer.Option(help="Of each training at most.")] = 0.3,
    tiny: Annotated[bool, typer.Option(help="To see that it runs.")] = False,
) -> None:
    """Speed, memory, parity and quality on a GPU, in at most nine minutes."""
    sizes = gpu.Sizes(minutes=minutes)
    if tiny:
        sizes = gpu.Sizes(crop=32, batch=2, steps=2, side=256, train_steps=4)
    gpu.run(console, parts.split(","), tasks.split(","), sizes)


@app.command("soak")
def soak_command(
    steps: int = 2000,
    predictions: int = 50,
    rounds: Annotated[
        int, typer.Option(help="Of start, pause, stop, close in the Train dock.")
    ] = 100,
) -> None:
    """Memory, threads and file handles over long work (Linux)."""
    from benchmarks import soak

    if steps:
        soak.run(console, steps, predictions)
    soak.rounds(console, rounds)


@app.command("faults")
def faults_command() -> None:
    """Faults done on purpose: what was said, and what survived."""
    faults.run(console)


@app.command("table")
def table_command() -> None:
    """Print the stored results as Markdown."""
    typer.echo("\n\n".join([table.quality_table(), table.times(), table.curves()]))


app()
