"""Progress bars of the command line."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
)
from rich.text import Text

from napari_cosdd._formatting import clock
from napari_cosdd.events import (
    Curve,
    Denoised,
    Event,
    Finished,
    SampleDone,
    Saved,
    Started,
    StepDone,
    TileDone,
    Validated,
    Warned,
    Written,
)

if TYPE_CHECKING:
    from napari_cosdd.api import TrainingJob
    from napari_cosdd.models.trained_model import TrainedModel

#: Text for each reason why a training ended.
REASONS = {
    "completed": "training completed",
    "stopped": "training stopped; go on with --resume",
    "time limit": "the time limit was reached",
    "plateau": "it no longer improved",
    "collapsed": "the posterior collapsed; the best model from before was kept",
}


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[info]}"),
        console=console,
    )


def note(console: Console, text: str) -> None:
    """Print a note to the user."""
    console.print(Text.assemble(("Note: ", "yellow"), text))


def show_training(
    console: Console, job: "TrainingJob", events: Iterator[Event]
) -> "TrainedModel | None":
    """Show the events of a training; return its model."""
    if job.noise is not None:
        console.print(_advice(job))
    console.print(str(job.estimate()))
    with _bar(console) as bar:
        task = bar.add_task("training", total=1.0, left="", info="")
        curves: Sequence[Curve] = ()
        for event in events:
            if isinstance(event, Finished):
                bar.update(task, left="", info="")
                console.print(f"{REASONS[event.reason]} after {event.step} steps")
                result: TrainedModel = event.result
                return result
            if isinstance(event, Started):
                curves = event.curves
            _show(console, bar, task, event, curves)
    return None


def _advice(job: "TrainingJob") -> str:
    """Say what the noise is like, and whether the chosen method suits it."""
    from napari_cosdd.methods.registry import get_method

    if job.noise is None:
        return ""
    facts = job.noise.facts
    return f"{facts.sentence} {get_method(job.recipe.method).suits(facts).reason}"


def _show(
    console: Console,
    bar: Progress,
    task: TaskID,
    event: Event,
    curves: Sequence[Curve],
) -> None:
    if isinstance(event, Started):
        console.print(
            f"{event.description}; {event.n_parameters:,} parameters",
        )
    elif isinstance(event, StepDone):
        bar.update(
            task,
            completed=event.progress,
            left=clock(event.remaining) + " left",
            info=_numbers(event.losses, curves),
        )
    elif isinstance(event, Validated):
        mark = " (kept)" if event.best else ""
        console.print(
            f"step {event.step}: validation {_numbers(event.losses, curves)}{mark}",
        )
    elif isinstance(event, Saved):
        console.print(f"wrote {event.path}")
    elif isinstance(event, Warned):
        note(console, event.message)


def show_denoising(console: Console, name: str, events: Iterator[Event]) -> Any:
    """Show the events of a denoising; return its result, or None if stopped.

    The result is a Prediction or, if written to disk, the paths of the images.
    """
    with _bar(console) as bar:
        task = bar.add_task(name, total=1.0, left="", info="")
        done, total = 0, 1
        for event in events:
            if isinstance(event, Denoised):
                return event.result
            if isinstance(event, Written):
                return event.paths
            if isinstance(event, TileDone):
                done, total = event.done, event.total
                left = clock(event.remaining) + " left"
                bar.update(task, completed=done / total, left=left)
            elif isinstance(event, SampleDone):
                info = f"{event.n_samples} of {event.total} samples"
                bar.update(
                    task,
                    completed=(done + event.n_samples / event.total) / max(total, 1),
                    info=info,
                )
            elif isinstance(event, Warned):
                note(console, event.message)
    return None


def _numbers(losses: Mapping[str, float], curves: Sequence[Curve]) -> str:
    """Return the losses of the curves, except those of single levels."""
    shown = ["loss"] + [c.key for c in curves if not c.is_part]
    return "  ".join(f"{k} {losses[k]:.3f}" for k in shown if k in losses)
