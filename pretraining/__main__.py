"""`python -m pretraining`: see `pretraining`."""

import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.devices import choose_device, describe_device, fast_math
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.methods.values import Batch, Moment
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.optim import cosine_rate
from napari_cosdd.training.stepper import Stepper
from pretraining.objective import FIELDS, gains, set_receptive_field, untrained
from pretraining.pool import Pool

WEIGHTS = Path(__file__).parents[1] / "src/napari_cosdd/weights"
#: Scenes held at a time, on a GPU and elsewhere; those replaced in a step, in the mean;
#: those held out.
POOL, POOL_ELSEWHERE, REPLACED, HELD_OUT = 1000, 140, 5, 56
#: Side of held-out crops, pixels.
HELD_OUT_SIDE = 128
#: Crops of a step, number and side in pixels, in turn, by preset. Wide ones show the
#: network the inside of a large image.
SHAPES = {"quick": ((8, 64), (3, 112)), "standard": ((32, 128), (8, 256))}
#: Seconds between two looks at the held-out scenes.
EVERY = 30.0
#: Loss of gain between two looks from which the training is taken back, dB.
TOLERATED = 0.5
#: Share of the time after which the rate begins to fall.
FALL = 0.6


def main(
    preset: str = "standard",
    minutes: Annotated[float, typer.Option(help="How long to go on.")] = 8.0,
    seed: int = 0,
    rate: Annotated[float, typer.Option(help="Learning rate at its highest.")] = 0.001,
    device: str = "auto",
    state: Annotated[Path | None, typer.Option(help="To go on from, and to.")] = None,
    output: Annotated[Path | None, typer.Option(help="Model file.")] = None,
) -> None:
    """Train a preset's networks on phantoms for some minutes, and write them.

    The state holds weights, their average and the number of steps. Blocks of training
    follow one another through it; each lets the learning rate rise and fall once.
    """
    chosen, began = choose_device(device), time.monotonic()
    print(f"{preset} on {describe_device(chosen)}", flush=True)
    settings: Any = COSDD.presets[preset].settings
    config = TrainingConfig(
        batch_size=SHAPES[preset][0][0],
        learning_rate=rate,
        seed=seed,
        gradient_limit=3,
    )
    with fast_math(chosen):
        stepper = Stepper.seeded(lambda: untrained(settings), config, chosen, seed)
        before = _restored(stepper, state) if state and state.exists() else 0
        generator = torch.Generator(chosen).manual_seed(seed + before)
        on_gpu = chosen.type == "cuda"
        pool = Pool(POOL if on_gpu else POOL_ELSEWHERE, generator)
        held_out = _held_out(chosen)
        print(f"{time.monotonic() - began:.0f} s to prepare", flush=True)
        began, looked, step = time.monotonic(), 0.0, 0
        best, sound = _gain(stepper, held_out), stepper.state()
        while (share := (time.monotonic() - began) / (60 * minutes)) < 1:
            if step * REPLACED % pool.together < REPLACED:
                pool.refresh()
            batch = pool.draw(*SHAPES[preset][step % len(SHAPES[preset])])
            moment = Moment(before + step, 10**9, share)
            falling = max(0.0, (share - FALL) / (1 - FALL))
            now = rate * cosine_rate(falling, step, 100)
            for warning in stepper.step(batch, moment, now, "from random weights"):
                print(warning.message, flush=True)
            step += 1
            if time.monotonic() - began < looked + EVERY:
                continue
            looked += EVERY
            gain = _say(stepper, held_out, before + step, share)
            if gain > best - TOLERATED:
                best, sound = gain, stepper.state()
            else:
                rate /= 2
                print(f"worse: back to the last sound weights, rate {rate}", flush=True)
                stepper.restore(sound)
        if not _say(stepper, held_out, before + step, 1.0) > best - TOLERATED:
            stepper.restore(sound)
    if state:
        _save_state(stepper, state, before + step)
    path = output or WEIGHTS / f"cosdd-{preset}.safetensors"
    _save_model(stepper, config, path, before + step)


def _held_out(device: torch.device) -> Batch:
    """Return the same scenes every time, by numbers drawn on the CPU."""
    pool = Pool(HELD_OUT, torch.Generator().manual_seed(2**20))
    return pool.draw(HELD_OUT, HELD_OUT_SIDE).map(lambda images: images.to(device))


def _say(stepper: Stepper, held_out: Batch, step: int, share: float) -> float:
    """Print the losses and the gain; return the gain."""
    update, gain = stepper.look(), _gain(stepper, held_out)
    losses = {} if update is None else update.losses
    shown = " ".join(f"{name} {losses[name]:.3f}" for name in losses)
    print(f"{100 * share:.0f} % step {step} {shown} gain {gain:.3f} dB", flush=True)
    return gain


def _gain(stepper: Stepper, held_out: Batch) -> float:
    """Return the mean gain of the averaged weights on held-out scenes, dB."""
    method: Any = stepper.method
    assert held_out.target is not None
    with stepper.averaged():
        set_receptive_field(method.decoder, max(FIELDS))
        return float(gains(method, held_out.x, held_out.target).mean())


def _parts(stepper: Stepper) -> dict[str, Tensor]:
    """Return the weights and their averages by name."""
    names = [name for name, _ in stepper.method.named_parameters()]
    weights = zip(names, stepper.parameters, strict=True)
    averages = zip(names, stepper.average.average, strict=True)
    parts = {f"weights.{name}": p.detach() for name, p in weights}
    return parts | {f"average.{name}": a for name, a in averages}


def _save_state(stepper: Stepper, path: Path, steps: int) -> None:
    tensors = {name: t.contiguous().cpu() for name, t in _parts(stepper).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors | {"steps": torch.tensor(steps)}, path)


def _restored(stepper: Stepper, path: Path) -> int:
    """Load a state into a stepper; return its number of steps."""
    saved = load_file(path)
    for name, tensor in _parts(stepper).items():
        tensor.copy_(saved[name])
    stepper.average.n_updates = int(saved["steps"])
    return stepper.average.n_updates


def _save_model(
    stepper: Stepper, config: TrainingConfig, path: Path, steps: int
) -> None:
    """Write the averaged weights in half precision."""
    method: Any = stepper.method
    with stepper.averaged():
        set_receptive_field(method.decoder, max(FIELDS))
        plain = COSDD(method.config, method.spec)
        plain.load_state_dict(method.state_dict())
    trained_on = TrainedOn.model_validate({"names": ["phantoms"], "steps": steps})
    model = TrainedModel("cosdd", plain.half(), config, trained_on=trained_on)
    model.save(path)
    print(f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    typer.run(main)
