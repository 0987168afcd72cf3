"""What goes wrong on users' machines, done on purpose: what was said, what survived.

Every fault happens to a real command in a process of its own: processes are killed,
disks are full, folders vanish, files are cut. A line of the table is *survived* if the
command said what happened, nothing that looks whole is half, and work that was done
before is still there.
"""

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, NamedTuple

import numpy as np
import tifffile
from rich.console import Console

from benchmarks.common import save
from napari_cosdd.datasets.simulate import cells, stripes
from napari_cosdd.errors import CosddError
from napari_cosdd.images.formats.any import read_image
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.training.resume_file import load_state
from napari_cosdd.training.saving import resume_path

#: Networks and steps that take a moment each.
TINY = [
    *("--n-levels", "2", "--n-channels", "8", "--n-latents", "2", "--n-code", "8"),
    *("--decoder-channels", "8", "--signal-channels", "8", "--receptive-field", "5"),
    *("--noise-axis", "x", "--crop-size", "32", "--batch-size", "2"),
    *("--validation-every", "20", "--device", "cpu", "--no-pretrained"),
]
#: Long enough to be killed in the middle, saved every half second.
LONG = ["--max-steps", "100000", "--save-every", "0.008"]
PATIENCE = 120.0
KILLS = 3


class Outcome(NamedTuple):
    """What came of a fault."""

    survived: bool
    said: str


class Desk(NamedTuple):
    """A folder with an image and a model to do harm to."""

    folder: Path
    image: Path
    model: Path

    @contextmanager
    def start(
        self, *arguments: Any, **settings: Any
    ) -> "Iterator[subprocess.Popen[str]]":
        """Start a command; at the end of the block it is killed if it still runs."""
        command = [sys.executable, "-u", "-m", "napari_cosdd", *map(str, arguments)]
        environment = os.environ | {"COLUMNS": "1000", "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            command,
            text=True,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **settings,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: Any, **settings: Any) -> tuple[int, str]:
        """Run a command; return its exit code and its last line."""
        with self.start(*arguments, **settings) as process:
            output, _ = process.communicate(timeout=PATIENCE)
        lines = [line for line in output.splitlines() if line.strip()]
        return process.returncode, lines[-1].strip() if lines else ""

    def leftovers(self) -> list[str]:
        """Return files that carry a final name but cannot be read whole."""
        bad = []
        for path in self.folder.rglob("*"):
            if path.name.startswith("."):
                continue
            try:
                if path.suffix == ".safetensors":
                    TrainedModel.load(path)
                elif path.suffix in (".tif", ".zarr", ".npy"):
                    np.asarray(read_image(path, "YX").data)
            except CosddError:
                bad.append(path.name)
        return bad


def run(console: Console) -> None:
    """Do all of it, print a table and save it."""
    for name, fault in FAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = fault(prepare(Path(folder)))
            except (AssertionError, CosddError, OSError, TimeoutExpired) as error:
                outcome = Outcome(False, f"{type(error).__name__}: {error}")
        save("faults", {name: outcome._asdict()})
        word = "survived" if outcome.survived else "[red]NOT SURVIVED[/]"
        console.print(f"| {name} | {word} | {outcome.said} |", highlight=False)


def prepare(folder: Path) -> Desk:
    """Make an image and a model."""
    rng = np.random.default_rng(0)
    noisy = stripes(cells((96, 96), rng, 12), rng, gain=0.008, gaussian=0.04, row=0.05)
    desk = Desk(folder, folder / "image.tif", folder / "model.safetensors")
    tifffile.imwrite(desk.image, 1000 * noisy)
    arguments = ["--output", desk.model, *TINY, "--max-steps", "5"]
    code, said = desk.run("train", desk.image, *arguments)
    assert code == 0, said
    return desk


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


def _refused(code: int, said: str, words: str) -> bool:
    """Whether a command ended as an error of ours does, in a sentence."""
    return code == 1 and "Error: " in said and words in said


# Killed -----------------------------------------------------------------------


def killed_while_training(desk: Desk) -> Outcome:
    """Kill a training again and again, at any moment, and go on each time."""
    model = desk.folder / "long.safetensors"
    command = ["train", desk.image, "--output", model, *TINY, *LONG]
    steps = [0]
    for round_ in range(KILLS):
        resume = ["--resume"] if round_ else []
        with desk.start(*command, *resume) as process:
            before = steps[-1]
            _wait_for(lambda: _saved_step(model, before) > before)  # noqa: B023
            time.sleep(0.05 * round_)
            process.send_signal(signal.SIGKILL)
        steps.append(_saved_step(model, before))
    grew = all(b > a for a, b in pairwise(steps))
    shown = " → ".join(map(str, steps[1:]))
    return Outcome(grew and not desk.leftovers(), f"went on each time: step {shown}")


def _saved_step(model: Path, default: int) -> int:
    try:
        return int(load_state(resume_path(model))["state"]["step"])
    except CosddError:
        return default


def killed_while_denoising(desk: Desk) -> Outcome:
    """Kill a denoising that writes; nothing half is there, and the next run goes."""
    out = desk.folder / "out"
    tifffile.imwrite(desk.image, np.tile(tifffile.imread(desk.image), (12, 12)))
    command = ["denoise", desk.model, desk.image, "--output", out, "--device", "cpu"]
    command += ["--n-samples", "6", "--n-kept", "6"]
    with desk.start(*command) as process:
        _wait_for(
            lambda: out.exists() and any(p.suffix == ".tif" for p in out.iterdir())
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
    half = [p.name for p in out.iterdir() if p.name.startswith(".")]
    whole = not desk.leftovers()
    code, _ = desk.run(*command, "--overwrite")
    said = f"{len(half)} file half written, under another name"
    return Outcome(bool(half) and whole and code == 0 and not desk.leftovers(), said)


def killed_while_writing_zarr(desk: Desk) -> Outcome:
    """Kill a denoising tile by tile; the same command goes on."""
    out = desk.folder / "out"
    command = ["denoise", desk.model, desk.image, "--output", out, "--format", "zarr"]
    command += ["--tile-size", "32", "--n-samples", "400", "--device", "cpu"]
    done = out / "image.partial" / "done"
    with desk.start(*command) as process:
        _wait_for(lambda: done.exists() and len(list(done.iterdir())) >= 2)
        process.send_signal(signal.SIGKILL)
    left = len(list(done.iterdir()))
    with desk.start(*command) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    went_on = f"going on: {left} of 9" in output
    whole = (out / "image-mean.zarr").exists() and not done.exists()
    return Outcome(went_on and whole, f"going on: {left} of 9 tiles were done")


def interrupted(desk: Desk) -> Outcome:
    """Press Ctrl-C during a training."""
    model = desk.folder / "long.safetensors"
    with desk.start("train", desk.image, "--output", model, *TINY, *LONG) as process:
        _wait_for(resume_path(model).exists)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    good = process.returncode == 130 and "--resume" in output and model.exists()
    return Outcome(
        good and not desk.leftovers(), "training stopped; go on with --resume"
    )


def asleep(desk: Desk) -> Outcome:
    """Hold a training for some seconds, as a laptop does whose lid is closed."""
    model = desk.folder / "long.safetensors"
    with desk.start("train", desk.image, "--output", model, *TINY, *LONG) as process:
        _wait_for(model.exists)
        process.send_signal(signal.SIGSTOP)
        before = _saved_step(model, 0)
        time.sleep(5)
        process.send_signal(signal.SIGCONT)
        _wait_for(lambda: _saved_step(model, 0) > before)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    after = _saved_step(model, 0)
    good = process.returncode == 130 and after > before and not desk.leftovers()
    return Outcome(good, f"goes on: step {before} → {after}")


# Disks ------------------------------------------------------------------------


def _full_disk(size: int) -> Callable[[], None]:
    """Let no file of the process become larger: a write fails as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def full_disk_while_training(desk: Desk) -> Outcome:
    """Train over a good model while nothing can be saved any more."""
    before = desk.model.read_bytes()
    command = ["train", desk.image, "--output", desk.model, "--overwrite", *TINY]
    command += ["--max-steps", "400", "--save-every", "0.005"]
    code, said = desk.run(*command, preexec_fn=_full_disk(20_000))
    kept = desk.model.read_bytes() == before
    return Outcome(kept and _refused(code, said, "could not be saved"), said)


def full_disk_while_denoising(desk: Desk) -> Outcome:
    """Denoise while nothing can be written."""
    out = desk.folder / "out"
    command = ["denoise", desk.model, desk.image, "--output", out, "--n-samples", "2"]
    code, said = desk.run(*command, preexec_fn=_full_disk(4_000))
    left = [p.name for p in out.rglob("*")]
    return Outcome(not left and _refused(code, said, ""), said)


def folder_that_vanishes(desk: Desk) -> Outcome:
    """Remove the folder of the model during the training, as a lost drive does."""
    folder = desk.folder / "drive"
    model = folder / "long.safetensors"
    command = ["train", desk.image, "--output", model, *TINY]
    command += ["--max-steps", "1500", "--save-every", "0.008"]
    with desk.start(*command) as process:
        _wait_for(resume_path(model).exists)
        folder.rename(desk.folder / "gone")  # at once, whatever is being saved
        output, _ = process.communicate(timeout=PATIENCE)
    told = "training goes on" in output and process.returncode == 1
    rescued = re.search(r"the model is in (.+safetensors) instead", output)
    if rescued is None:
        return Outcome(False, output[-200:])
    kept = Path(rescued.group(1))
    TrainedModel.load(kept)
    kept.unlink()
    return Outcome(told, "the model could not be saved …; the model is in … instead")


def folder_that_is_no_folder(desk: Desk) -> Outcome:
    """Name a folder for the model that cannot be made."""
    model = desk.image / "model.safetensors"
    code, said = desk.run("train", desk.image, "--output", model, *TINY)
    return Outcome(_refused(code, said, "cannot be written to"), said)


# Files ------------------------------------------------------------------------


def image_cut_short(desk: Desk) -> Outcome:
    """Train on an image whose copy was not finished."""
    desk.image.write_bytes(desk.image.read_bytes()[:20_000])
    code, said = desk.run("train", desk.image, "--output", "x.safetensors", *TINY)
    return Outcome(_refused(code, said, "damaged"), said)


def image_cut_during_training(desk: Desk) -> Outcome:
    """Cut the image short while a training reads it."""
    image = desk.folder / "image.npy"
    np.save(image, tifffile.imread(desk.image))
    model = desk.folder / "long.safetensors"
    command = ["train", image, "--axes", "YX", "--output", model, *TINY]
    command += ["--max-steps", "1500", "--save-every", "0.008"]
    with desk.start(*command) as process:
        _wait_for(resume_path(model).exists)
        os.truncate(image, 1000)
        process.communicate(timeout=PATIENCE)
    good = process.returncode == 0 and desk.leftovers() == [image.name]
    return Outcome(good, "small files are in memory: nothing happens")


def model_cut_short(desk: Desk) -> Outcome:
    """Denoise with a model whose copy was not finished."""
    desk.model.write_bytes(desk.model.read_bytes()[:-1000])
    code, said = desk.run("denoise", desk.model, desk.image)
    return Outcome(_refused(code, said, "damaged"), said)


def missing_pixels(desk: Desk) -> Outcome:
    """Train on an image with NaN."""
    pixels = tifffile.imread(desk.image)
    pixels[3, 4:9] = np.nan
    tifffile.imwrite(desk.image, pixels)
    code, said = desk.run("train", desk.image, "--output", "x.safetensors", *TINY)
    return Outcome(_refused(code, said, "5 of 9216 pixels"), said)


def closed_pipe(desk: Desk) -> Outcome:
    """Close the reader of the output during a training, as `| head` does."""
    model = desk.folder / "long.safetensors"
    with desk.start("train", desk.image, "--output", model, *TINY, *LONG) as process:
        _wait_for(model.exists)
        assert process.stdout is not None
        process.stdout.close()
        try:
            process.wait(20)
        except TimeoutExpired:
            process.kill()
            return Outcome(False, "the training did not end")
    kept = TrainedModel.load(model).history["step"][-1]
    good = process.returncode == 130 and resume_path(model).exists()
    good = good and not desk.leftovers()
    said = f"ends as by Ctrl-C; the model of step {kept:.0f} stays, and can go on"
    return Outcome(good, said)


def little_memory(desk: Desk) -> Outcome:
    """Denoise with less memory than a batch of samples takes."""
    noisy = np.tile(tifffile.imread(desk.image), (22, 22))
    tifffile.imwrite(desk.image, noisy)
    limit = 5 << 29

    def starve() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    command = ["denoise", desk.model, desk.image, "--output", "out", "--device", "cpu"]
    command += ["--tile-size", "2112", "--n-samples", "64", "--batch-size", "64"]
    code, said = desk.run(*command, preexec_fn=starve)
    told = code == 0 or (code == 1 and "Error: memory ran out" in said)
    return Outcome(told and not desk.leftovers(), said)


FAULTS: dict[str, Callable[[Desk], Outcome]] = {
    "kill -9 while training, three times": killed_while_training,
    "kill -9 while denoising": killed_while_denoising,
    "kill -9 while denoising to zarr": killed_while_writing_zarr,
    "Ctrl-C while training": interrupted,
    "a laptop that sleeps": asleep,
    "full disk while training over a model": full_disk_while_training,
    "full disk while denoising": full_disk_while_denoising,
    "the model's folder vanishes": folder_that_vanishes,
    "a folder that cannot be made": folder_that_is_no_folder,
    "an image cut short": image_cut_short,
    "an image cut short while training": image_cut_during_training,
    "a model cut short": model_cut_short,
    "NaN in the image": missing_pixels,
    "the output's reader goes away": closed_pipe,
    "too little memory for a batch": little_memory,
}
