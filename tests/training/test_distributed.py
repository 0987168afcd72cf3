"""Two processes on this machine, as torchrun would start them on several."""

import os
import subprocess
import sys

import pytest
import tifffile
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from helpers import TINY, TRAINING, awaken, build, tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import BadInputError
from napari_cosdd.events import StepDone
from napari_cosdd.methods import cosdd
from napari_cosdd.methods.values import Batch
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.distributed import Processes
from napari_cosdd.training.estimate import END
from napari_cosdd.training.stepper import Stepper

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="needs gloo"
)
BATCH = Batch(torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)))


def no_noise(generator):
    """Latents at their means: the same whatever the order of the crops."""
    return lambda level, shape: torch.zeros(shape)


def take_a_step():
    """Update a network once; return its gradients and weights."""
    cosdd.fresh_noise = no_noise
    config = TrainingConfig(batch_size=4, warmup_steps=0)
    stepper = Stepper(awaken(build("cosdd")), config, torch.device("cpu"), 0)
    list(stepper.step(BATCH, END, 1e-3, "from random weights"))
    gradients = [p.grad.clone() for p in stepper.parameters]
    return gradients, [p.detach().clone() for p in stepper.parameters]


def member(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    processes = Processes()
    assert (processes.rank, processes.size, processes.is_main) == (rank, 2, rank == 0)
    assert processes.agree([rank + 0.5, 7.0], torch.device("cpu")) == [0.5, 7.0]
    with pytest.raises(BadInputError, match="batch of 3 cannot be shared evenly by 2"):
        processes.check_batch(3)
    torch.save(take_a_step(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_take_the_step_of_one_with_the_whole_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(cosdd, "fresh_noise", no_noise)
    expected = take_a_step()
    mp.spawn(member, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        for kind, tolerance in zip((0, 1), (1e-6, 1e-5), strict=True):
            for a, b in zip(found[kind], expected[kind], strict=True):
                torch.testing.assert_close(a, b, atol=tolerance, rtol=1e-3)


def torchrun(*arguments, n=2):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", n]
    command += ["--standalone", "-m", "napari_cosdd", "train", *arguments]
    for name, value in (TINY["cosdd"] | TRAINING).items():
        command += [f"--{name.replace('_', '-')}", value]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "300",
        "USE_LIBUV": "0",
    }
    return subprocess.run(
        list(map(str, command)),
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_torchrun_trains_one_model(noisy, tmp_path):
    tifffile.imwrite(tmp_path / "noisy.tif", noisy)
    output = tmp_path / "model.safetensors"
    done = torchrun(tmp_path / "noisy.tif", "--output", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training completed") == 1  # one of them speaks
    model = api.load(output)
    assert model.history["step"][-1] == TRAINING["max_steps"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.safetensors",
        "noisy.tif",
    ]


def test_two_processes_agree_on_what_they_let_go(noisy, tmp_path):
    tifffile.imwrite(tmp_path / "noisy.tif", noisy)
    images = api.as_images(tmp_path / "noisy.tif")
    *_, known = api.prepare_run(images, tiny_recipe(max_steps=300)).run()
    known.result.save(tmp_path / "known.safetensors")
    done = torchrun(
        tmp_path / "noisy.tif",
        "--output",
        tmp_path / "model.safetensors",
        "--init-model",
        tmp_path / "known.safetensors",
        "--anchored-steps",
        3,
    )
    assert done.returncode == 0, done.stderr
    history = api.load(tmp_path / "model.safetensors").history
    assert history["step"] == [3, TRAINING["max_steps"]]
    assert history["redrawn"][0] is None
    assert history["redrawn"][1] is not None


def test_what_one_process_began_two_go_on_with(noisy, tmp_path):
    tifffile.imwrite(tmp_path / "noisy.tif", noisy)
    output = tmp_path / "model.safetensors"
    images = api.as_images(tmp_path / "noisy.tif")
    steps = []
    job = api.prepare_run(images, tiny_recipe())
    for event in job.run(output=output, stop=lambda: len(steps) >= 2):
        if isinstance(event, StepDone):
            steps.append(event.step)
    done = torchrun(tmp_path / "noisy.tif", "--output", output, "--resume")
    assert done.returncode == 0, done.stderr
    assert api.load(output).history["step"] == [3, TRAINING["max_steps"]]
