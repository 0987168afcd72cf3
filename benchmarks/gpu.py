"""What a GPU does with the package: speed, memory, parity with the CPU, quality.

For a machine with torch, numpy, scipy and tifffile; `benchmarks/wheels.sh` collects
what else it needs. Each part is saved when it is done, and one that fails says why.
"""

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from benchmarks.common import JUDGED, NOISES, Problem, machine, problem, save
from napari_cosdd import api
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.devices import choose_device, fast_math, on_device
from napari_cosdd.events import Finished, Validated, Warned
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.methods.base import Preset
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.methods.values import Batch
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.blocks import channels_last
from napari_cosdd.nets.ladder_vae import fresh_noise
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.training.estimate import END
from napari_cosdd.training.loop import train
from napari_cosdd.training.memory import BASE, measure_memory
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.stepper import Stepper

SPEC = DataSpec(ndim=2, n_channels=1, normalization=Normalization(mean=(0,), std=(1,)))
TASKS = [f"{data}/{noise}" for noise in NOISES for data in ("w2s", "sstem")]
#: Context around the judged part, pixels, and samples of the mean that is judged.
CONTEXT, SAMPLES = 64, 32
WIDE = tuple(slice(s.start - CONTEXT, s.stop + CONTEXT) for s in JUDGED)
INNER = (slice(CONTEXT, -CONTEXT),) * 2


@dataclass(frozen=True)
class Sizes:
    """How much each part does.

    Attributes
    ----------
    crop, batch : int
        Largest crop and batch of a step.
    steps : int
        Timed steps.
    side : int
        Side of the image whose samples are timed; noise has half of it.
    train_steps : int or None
        Steps of each training for quality; None: as the preset says.
    minutes : float
        Most minutes of each training.
    """

    crop: int = 256
    batch: int = 16
    steps: int = 20
    side: int = 2048
    train_steps: int | None = None
    minutes: float = 0.6


def run(console: Console, parts: list[str], tasks: list[str], sizes: Sizes) -> None:
    """Measure, print and save each part."""
    device = choose_device("auto")
    console.print(machine())
    every: dict[str, Callable[[], Iterator[tuple[str, Any]]]] = {
        "graphs": lambda: _graphs(device, sizes),
        "steps": lambda: _steps(device, sizes),
        "samples": lambda: _samples(device, sizes),
        "parity": lambda: _parity(device, sizes),
        "quality": lambda: _quality(device, tasks, sizes),
    }
    for part in parts:
        began = time.monotonic()
        try:
            for name, result in every[part]():
                console.print(f"{part}/{name}", result, highlight=False)
                save("gpu", {f"{part}/{name}": result})
        except Exception as error:  # noqa: BLE001 - the other parts are wanted, too
            console.print(f"{part} failed: {error!r}")
            traceback.print_exc()
        console.print(f"{part}: {time.monotonic() - began:.0f} s", highlight=False)


def _build(preset: str) -> COSDD:
    """Return a preset's networks with random weights, for noise along x."""
    config: Any = COSDD.presets[preset].settings
    reach = config.receptive_field or 9
    config = config.model_copy(update={"noise_axis": "x", "receptive_field": reach})
    return COSDD(config, SPEC)


def _stepper(preset: str, device: torch.device, **training: Any) -> Stepper:
    chosen: Preset = COSDD.presets[preset]
    config = chosen.training.model_copy(update=training)
    return Stepper.seeded(lambda: _build(preset), config, device, seed=0)


def _images(n: int, side: int, device: torch.device) -> Tensor:
    """Return smooth images with white noise, normalized, (n, 1, side, side)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(n, 1, side // 8, side // 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic")
    noisy = smooth + 0.5 * torch.randn(smooth.shape, generator=generator)
    return channels_last((noisy / noisy.std()).to(device))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _graphs(device: torch.device, sizes: Sizes) -> Iterator[tuple[str, Any]]:
    """Whether recorded and plain steps give the same weights."""
    batch = Batch(_images(4, 64, device))
    weights = []
    for graphs in (True, False):
        torch.manual_seed(0)
        stepper = _stepper("quick", device, batch_size=4)
        stepper.recorded.recorder.enabled &= graphs
        for _ in range(12):
            list(stepper.step(batch, END, 1e-3, "from random weights"))
        stepper.look()
        weights.append(torch.cat([p.detach().flatten() for p in stepper.parameters]))
        recorded = stepper.recorded.recorder.n_graphs
        yield f"{'recorded' if graphs else 'plain'}", {"graphs": recorded}
    difference = (weights[0] - weights[1]).abs().max()
    yield "largest difference of a weight", {"value": float(difference)}


#: Presets whose steps are timed: crop, batch, micro-batch, and further settings.
STEPS: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "quick 8 × 64²": ("quick", 64, 8, {}),
    "standard 16 × 128²": ("standard", 128, 16, {}),
    "small 16 × 256²": ("small", 256, 16, {}),
    "small 16 × 256², bfloat16": ("small", 256, 16, {"precision": "bfloat16"}),
    "small 16 × 256², saving memory": (
        "small",
        256,
        16,
        {"checkpointing": True, "micro_batch": 4},
    ),
    "large 16 × 256², micro-batch 4": ("large", 256, 16, {"micro_batch": 4}),
    "large 16 × 256², bfloat16": (
        "large",
        256,
        16,
        {"micro_batch": 4, "precision": "bfloat16"},
    ),
    "large 16 × 256², saving memory": (
        "large",
        256,
        16,
        {"micro_batch": 4, "checkpointing": True},
    ),
}


def _steps(device: torch.device, sizes: Sizes) -> Iterator[tuple[str, Any]]:
    """Time of a step as the loop takes it, memory, and how busy the GPU is."""
    for name, (preset, crop, n, training) in STEPS.items():
        side, batch_size = min(crop, sizes.crop), min(n, sizes.batch)
        training = training | {"batch_size": batch_size}
        try:
            result = _timed_steps(device, sizes, preset, side, training)
        except RuntimeError as error:
            result = {"failed": str(error).splitlines()[0]}
        result["pixels"] = batch_size * side**2
        yield name, result


def _timed_steps(
    device: torch.device, sizes: Sizes, preset: str, side: int, training: dict[str, Any]
) -> dict[str, Any]:
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with fast_math(device):
        stepper = _stepper(preset, device, **training)
        batch = Batch(_images(training["batch_size"], side, device))

        def steps(n: int) -> float:
            _wait(device)
            began = time.perf_counter()
            for _ in range(n):
                list(stepper.step(batch, END, 1e-4, "from random weights"))
            stepper.look()
            _wait(device)
            return (time.perf_counter() - began) / n

        steps(5)  # tries kernels, and records
        result: dict[str, Any] = {"seconds": round(steps(sizes.steps), 5)}
        estimate = measure_memory(stepper.method, (side, side))  # type: ignore[arg-type]
        needed = estimate.of(stepper.micro_batch) - BASE
        result["estimated_gib"] = round(needed / 2**30, 2)
        result["graphs"] = stepper.recorded.recorder.n_graphs
        if on_gpu:
            peak = torch.cuda.max_memory_reserved(device)
            result["peak_gib"] = round(peak / 2**30, 2)
            result |= _busy(lambda: steps(3), 3)
            stepper.recorded.recorder.enabled = False
            stepper.recorded.forget()
            steps(2)
            result["seconds_without_graphs"] = round(steps(5), 5)
    pixels = training["batch_size"] * side**2
    result["megapixels_per_s"] = round(pixels / result["seconds"] / 1e6, 2)
    return result


def _busy(work: Callable[[], object], n: int) -> dict[str, Any]:
    """Return the share of the time in which kernels run, and how many a step has."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    began = time.perf_counter()
    with torch.profiler.profile(activities=activities) as profile:
        began = time.perf_counter()
        work()
        wall = time.perf_counter() - began
    events = [e for e in profile.events() if e.device_type.name == "CUDA"]
    seconds = sum(e.device_time_total for e in events) / 1e6
    return {"busy": round(seconds / wall, 2), "kernels": round(len(events) / n)}


def _samples(device: torch.device, sizes: Sizes) -> Iterator[tuple[str, Any]]:
    """Posterior samples and noise per second."""
    for preset in ("quick", "standard", "small"):
        side = sizes.side if preset != "small" else sizes.side // 2
        model = TrainedModel("cosdd", _build(preset).eval(), Recipe.preset().training)
        x = _images(1, side, device)
        with on_device(model.method, device), torch.inference_mode():
            yield f"{preset} {side}²", _timed_samples(model.method, x, device)
            small = x[..., : sizes.side // 4, : sizes.side // 4]
            yield f"{preset} noise of {small.shape[-1]}²", _timed_noise(model, small)


def _timed_samples(method: Any, x: Tensor, device: torch.device) -> dict[str, Any]:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    noise = fresh_noise(torch.Generator(device).manual_seed(0))
    features = method.encode(x)
    encode = _median(lambda: method.encode(x), device)
    sample = _median(lambda: method.sample_posterior(features, noise), device)
    result: dict[str, Any] = {
        "megapixels_per_s": round(x.numel() / sample / 1e6, 1),
        "sample_by_first": round(sample / (encode + sample), 2),
    }
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        result["peak_gib"] = round(peak / 2**30, 2)
    return result


def _timed_noise(model: TrainedModel, x: Tensor) -> dict[str, Any]:
    method: Any = model.method
    generator = torch.Generator(x.device).manual_seed(0)
    draw = method.sample_posterior(method.encode(x), fresh_noise(generator))
    seconds = _median(lambda: method.sample_noise(draw, generator), x.device)
    return {"seconds": round(seconds, 4)}


def _median(call: Callable[[], object], device: torch.device, rounds: int = 5) -> float:
    times = []
    for _ in range(rounds + 1):
        _wait(device)
        began = time.perf_counter()
        call()
        _wait(device)
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:]))


def _parity(device: torch.device, sizes: Sizes) -> Iterator[tuple[str, Any]]:
    """How far means and samples on the device are from those of the CPU."""
    task = problem("w2s", "stripes")
    recipe = Recipe.preset().changed({"noise_axis": "x"}, {"max_steps": 60})
    events = api.prepare_run([api.Image(task.noisy, "SYX")], recipe).run()
    model = next(e.result for e in events if isinstance(e, Finished))
    side = min(512, sizes.side)
    image = api.Image(task.noisy[0][:side, :side], "YX")
    results = []
    for name in ("cpu", device.type):
        config = PredictionConfig(n_samples=8, n_kept=1, device=name)
        last: Any
        *_, last = api.denoising(model, image, config)
        results.append((last.result.mean, last.result.samples[0]))
    for name, a, b in zip(("mean", "sample"), *results, strict=True):
        yield name, {"rms": float(np.sqrt(np.mean((a - b) ** 2)))}
    deviation = last.result.deviation
    yield "deviation", {"mean": float(np.mean(deviation))}


#: Trainings for quality: preset and further training settings; "care" is supervised.
TRAININGS: dict[str, dict[str, Any]] = {
    "quick": {},
    "standard": {},
    "standard bfloat16": {"precision": "bfloat16"},
    "standard from random weights": {"pretrained": False},
    "small": {"crop_size": 128},
    "supervised": {"crop_size": 128, "batch_size": 16},
}


def _quality(
    device: torch.device, tasks: list[str], sizes: Sizes
) -> Iterator[tuple[str, Any]]:
    """PSNR of the mean over time."""
    for name in tasks:
        where, _, method = name.partition(":")
        data, noise = where.split("/")
        task = problem(data, noise)
        for training in [method] if method else TRAININGS:
            yield f"{where}/{training}", _trained(task, training, device, sizes)


def _trained(
    task: Problem, name: str, device: torch.device, sizes: Sizes
) -> dict[str, Any]:
    """Train once; return steps, PSNR over time and at the end."""
    changes = {"device": device.type, "validation_every": 100} | TRAININGS[name]
    changes["time_limit"] = sizes.minutes
    if sizes.train_steps:
        changes |= {"max_steps": sizes.train_steps}
    job, estimate = _prepared(task, name, changes)
    run = job.start()
    curve, notes, model = [], [], None
    for event in train(run):
        if isinstance(event, Warned):
            notes.append(event.message)
        elif isinstance(event, Validated):
            with run.stepper.averaged():
                score = task.score(estimate(run.method))
            curve.append((round(run.state.seconds, 1), round(score, 2)))
        elif isinstance(event, Finished):
            model = event.result
    assert model is not None
    config = PredictionConfig(n_samples=100, n_kept=0, device=device.type)
    last: Any
    *_, last = api.denoising(model, api.Image(task.noisy[0][WIDE], "YX"), config)
    return {
        "steps": run.state.step,
        "seconds": round(run.state.seconds, 1),
        "psnr": round(task.score(last.result.mean[INNER]), 2),
        "notes": notes,
        "curve": curve,
    }


def _prepared(
    task: Problem, name: str, changes: dict[str, Any]
) -> tuple[Any, Callable[[Any], Any]]:
    """Return a training, and a function that quickly estimates the judged part."""
    rng = np.random.default_rng(0)
    if name == "supervised":
        settings = {"n_channels": 64, "n_blocks": 2, "n_levels": 4}
        recipe = Recipe.preset("care").changed(settings, changes)
        noisy = api.Image(task.add_noise(task.others, rng), "SYX")
        job = api.prepare_run([noisy], recipe, targets=[api.Image(task.others, "SYX")])
    else:
        recipe = Recipe.preset("cosdd", name.split(" ")[0])
        recipe = recipe.changed({"noise_axis": task.axis}, changes)
        job = api.prepare_run([api.Image(task.noisy, "SYX")], recipe)
    spec = job.crops.spec
    pixels = spec.normalization.apply(task.noisy[0][WIDE][None], spec.ndim)

    @torch.no_grad()
    def estimate(method: Any) -> Any:
        device = next(method.parameters()).device
        x = channels_last(torch.from_numpy(pixels)[None].to(device))
        with fast_math(device):
            if name == "supervised":
                found = method.predict(x)["mean"]
            else:
                noise = fresh_noise(torch.Generator(device).manual_seed(0))
                features = method.encode(x)
                found = sum(
                    method.sample_posterior(features, noise).signal / SAMPLES
                    for _ in range(SAMPLES)
                )
        image = spec.results.invert(found[0].float().cpu().numpy(), spec.ndim)
        return image.reshape(pixels.shape[-2:])[INNER]

    return job, estimate
