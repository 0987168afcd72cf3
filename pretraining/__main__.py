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
#: Scenes held at a time, on a GPU and elsewhere.
POOL, POOL_ELSEWHERE = 1000, 140
#: Scenes replaced in a step, in the mean, on a GPU and elsewhere, where drawing them
#: costs as much as training on them.
REPLACED, REPLACED_ELSEWHERE = 5, 1
#: Number of held-out scenes.
HELD_OUT = 56
#: Side of held-out crops, pixels.
HELD_OUT_SIDE = 128
#: Crops of a step, number and side in pixels, in turn. Wide ones show the network the
#: inside of a large image.
SHAPES = ((8, 64), (3, 112))
#: The same for presets whose steps fill a GPU only with more pixels.
SHAPES_ON_GPU = {"standard": ((32, 128), (8, 256))}
#: Least number of seconds between two looks at the held-out scenes, and as a multiple
#: of the time that a look takes.
EVERY, LOOKS = 30.0, 20.0
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
    model: Annotated[
        Path | None, typer.Option(help="Written model to go on from without a state.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Model file.")] = None,
) -> None:
    """Train a preset's networks on phantoms for some minutes, and write them.

    The state holds weights, their average and the number of steps. Blocks of training
    follow one another through it; each lets the learning rate rise and fall once. Where
    the state was lost, the model of an earlier block will do: it holds the average.
    """
    chosen, began = choose_device(device), time.monotonic()
    print(f"{preset} on {describe_device(chosen)}", flush=True)
    settings: Any = COSDD.presets[preset].settings
    on_gpu = chosen.type == "cuda"
    shapes = SHAPES_ON_GPU.get(preset, SHAPES) if on_gpu else SHAPES
    replaced = REPLACED if on_gpu else REPLACED_ELSEWHERE
    config = TrainingConfig(
        batch_size=shapes[0][0],
        learning_rate=rate,
        seed=seed,
        gradient_limit=3,
    )
    with fast_math(chosen):
        stepper = Stepper.seeded(lambda: untrained(settings), config, chosen, seed)
        before = _began(stepper, state, model)
        generator = torch.Generator(chosen).manual_seed(seed + before)
        pool = Pool(POOL if on_gpu else POOL_ELSEWHERE, generator)
        held_out = _held_out(chosen)
        print(f"{time.monotonic() - began:.0f} s to prepare", flush=True)
        began, next_look, step = time.monotonic(), EVERY, 0
        best, sound = _gain(stepper, held_out), stepper.state()
        print(f"step {before} gain {best:.3f} dB", flush=True)
        while (share := (time.monotonic() - began) / (60 * minutes)) < 1:
            if step * replaced % pool.together < replaced:
                pool.refresh()
            batch = pool.draw(*shapes[step % len(shapes)])
            moment = Moment(before + step, 10**9, share)
            falling = max(0.0, (share - FALL) / (1 - FALL))
            now = rate * cosine_rate(falling, step, 100)
            for warning in stepper.step(batch, moment, now, "from random weights"):
                print(warning.message, flush=True)
            step += 1
            if (look := time.monotonic() - began) < next_look:
                continue
            gain = _say(stepper, held_out, before + step, share)
            if gain > best - TOLERATED:
                best, sound = gain, stepper.state()
                if state:
                    _save_state(stepper, state, before + step)
            else:
                rate /= 2
                print(f"worse: back to the last sound weights, rate {rate}", flush=True)
                stepper.restore(sound)
            took = time.monotonic() - began - look
            next_look = look + took + max(EVERY, LOOKS * took)
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
    part = path.with_name(path.name + ".part")
    save_file(tensors | {"steps": torch.tensor(steps)}, part)
    part.replace(path)


def _began(stepper: Stepper, state: Path | None, model: Path | None) -> int:
    """Load a state, or a model without one; return its number of steps."""
    if state and state.exists():
        saved = load_file(state)
    elif model:
        trained = TrainedModel.load(model)
        steps = (trained.trained_on.model_extra or {})["steps"]
        saved = {"steps": torch.tensor(steps)}
        for name, weight in trained.method.named_parameters():
            saved |= {f"weights.{name}": weight, f"average.{name}": weight}
    else:
        return 0
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
