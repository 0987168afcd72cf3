"""PSNR over time: COSDD, Noise2Void, SN2V, classical filters, and the ceiling."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn

from benchmarks.common import (
    JUDGED,
    Problem,
    best_blur,
    best_bm3d,
    best_total_variation,
    problem,
    save,
)
from napari_cosdd import api
from napari_cosdd.events import Finished, StepDone, Validated, Warned
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.blocks import channels_last, weights_channels_last
from napari_cosdd.nets.unet import UNet
from napari_cosdd.noise_analysis.autocorrelation import autocorrelation
from napari_cosdd.prediction.sampling import View
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.training.loop import train
from napari_cosdd.training.optim import BETAS, AveragedWeights, cosine_rate
from napari_cosdd.training.recipe import Recipe

METHODS = ("cosdd", "cosdd-cold", "supervised", "sn2v", "n2v")
#: Points of the curve over time, samples of a point and of the end.
POINTS, FEW, MANY = 10, 16, 100
#: Seconds between two points where there is no time limit.
EVERY = 8.0
#: End of a result's name by the minutes of its training; of other lengths, those.
LENGTHS: dict[float, str] = {0: "/own length", 5: ""}
#: Crops of 64 pixels in a step of the supervised network.
BATCH = 4
#: Shifted and flipped views, as of a model whose noise is reversible.
VIEWS = [
    View((0, 0), (), ()),
    View((1, 1), (0,), ()),
    View((2, 3), (1,), ()),
    View((3, 2), (0, 1), ()),
]
#: Around the judged part, so that its border is judged with context.
CONTEXT = 64

Curve = list[tuple[float, float]]


def run(
    console: Console,
    sets: list[str],
    noises: list[str],
    methods: list[str],
    minutes: float,
    seed: int,
) -> None:
    """Run the benchmark, print and save the results after each part."""
    for data in sets:
        for noise in noises:
            task = problem(data, noise)
            results = {f"{task.name}/filters": filters(task)}
            console.print(f"[bold]{task.name}[/] {results[f'{task.name}/filters']}")
            save("quality", results)
            for method in methods:
                result = train_and_score(task, method, minutes, seed)
                shown = {k: v for k, v in result.items() if k != "curve"}
                curve = " ".join(f"{s:.0f}s {p:.2f}" for s, p in result["curve"])
                console.print(f"  {method}: {shown}\n    {curve}", highlight=False)
                key = f"{task.name}/{method}" + (f"/seed{seed}" if seed else "")
                key += LENGTHS.get(minutes, f"/{minutes:g} min")
                save("quality", {key: result})


def filters(task: Problem) -> dict[str, Any]:
    """Score what needs no training."""
    blur, widths = best_blur(task.noisy[0], task.clean[0][JUDGED], 1.0, JUDGED)
    tv, weight = best_total_variation(task)
    bm3d, scale = best_bm3d(task)
    return {
        "noisy": round(task.score(task.noisy[0][JUDGED]), 2),
        "blur": round(blur, 2),
        "blur_yx": widths,
        "tv": round(tv, 2),
        "tv_weight": weight,
        "bm3d": round(bm3d, 2),
        "bm3d_scale": scale,
    }


def train_and_score(
    task: Problem, method: str, minutes: float, seed: int
) -> dict[str, Any]:
    """Train one method for some minutes; return its curve and final scores."""
    if method == "supervised":
        return _supervised(task, minutes, seed)
    name = "cosdd" if method.startswith("cosdd") else "n2v"
    settings: dict[str, Any] = {} if method != "n2v" else {"noise_axis": "none"}
    if method == "sn2v" and task.name.endswith("checkerboard"):
        settings["half_length"] = 4096  # as the papers: whole columns
    training: dict[str, Any] = {"seed": seed, "device": "cpu"}
    training["pretrained"] = method != "cosdd-cold"
    if minutes:
        training["time_limit"] = minutes
    recipe = Recipe.preset(name).changed(settings, training)
    job = api.prepare_run([api.Image(task.noisy, "SYX")], recipe)
    curve: Curve = []
    notes: list[str] = []
    model = None
    for event in _watched(job, task, minutes, curve):
        if isinstance(event, Warned):
            notes.append(event.message)
        if isinstance(event, Finished):
            model, steps = event.result, event.step
    assert model is not None
    return {
        "steps": steps,
        "reversible": model.reversible,
        "advice": job.noise.facts.sentence if job.noise else "",
        "notes": notes,
        "redrawn": _looks(model),
        **final_scores(task, model),
        "curve": curve,
    }


def _looks(model: TrainedModel) -> list[tuple[float, float]]:
    """Return steps, and dB of noise removed from images that it drew again."""
    columns = (model.history.get(name, []) for name in ("step", "redrawn"))
    pairs = zip(*columns, strict=False)
    return [(s, round(v, 3)) for s, v in pairs if s is not None and v is not None]


def _watched(
    job: api.TrainingJob, task: Problem, minutes: float, curve: Curve
) -> Iterator[Any]:
    """Train, and score the averaged weights now and then; scoring takes no time."""
    run, recipe = job.start(), job.recipe
    every = 60 * minutes / POINTS if minutes else EVERY
    due = every
    for event in train(run):
        if isinstance(event, StepDone):
            if event.seconds >= due:
                due += every
                with run.stepper.averaged():
                    model = TrainedModel(recipe.method, run.method, recipe.training)
                    result, inner = _denoised(task, model, FEW, 0)
                score = round(task.score(result.mean[inner]), 2)
                curve.append((round(event.seconds), score))
        elif not isinstance(event, Validated):
            yield event


def _denoised(task: Problem, model: TrainedModel, n_samples: int, n_kept: int) -> Any:
    """Denoise what is judged, with some context; return the result and the inside."""
    wide = tuple(slice(s.start - CONTEXT, s.stop + CONTEXT) for s in JUDGED)
    config = PredictionConfig(n_samples=n_samples, n_kept=n_kept, device="cpu")
    image = api.Image(task.noisy[0][wide], "YX")
    last: Any = list(api.denoising(model, image, config))[-1]
    return last.result, (slice(CONTEXT, -CONTEXT),) * 2


def final_scores(task: Problem, model: TrainedModel) -> dict[str, Any]:
    """Score mean and samples, and look at what is left for correlation."""
    result, inner = _denoised(task, model, MANY, 4)
    mean = result.mean[inner]
    correlation = autocorrelation([mean - task.clean[0][JUDGED]])
    residual = autocorrelation([task.noisy[0][JUDGED] - mean])
    truth = autocorrelation([task.noisy[0][JUDGED] - task.clean[0][JUDGED]])
    scores: dict[str, Any] = {"psnr": round(task.score(mean), 2)}
    if result.deviation is not None:
        single = [task.score(s[inner]) for s in result.samples]
        scores["psnr_single"] = round(float(np.mean(single)), 2)
    for name, found in (
        ("error", correlation),
        ("residual", residual),
        ("noise", truth),
    ):
        scores[f"{name}_row"] = np.round(found.along_x[1:4], 2).tolist()
        scores[f"{name}_column"] = np.round(found.along_y[1:4], 2).tolist()
    return scores


def _supervised(task: Problem, minutes: float, seed: int) -> dict[str, Any]:
    """Train a U-Net of the quick preset's size on clean targets of other images."""
    rng = np.random.default_rng(seed)
    noisy = task.add_noise(task.others, rng)
    mean, std = float(noisy.mean()), float(noisy.std())
    torch.manual_seed(seed)
    net = UNet(2, 1, 1, n_channels=32, n_levels=5, n_blocks=1, stem_stride=2)
    weights_channels_last(net)
    parameters = list(net.parameters())
    optimizer = torch.optim.Adam(parameters, 0.002, betas=BETAS, fused=True)
    average = AveragedWeights(parameters, 0.999)
    curve: Curve = []
    seconds, step, due = 0.0, 0, 60 * minutes / POINTS
    while seconds < 60 * minutes:
        began = time.perf_counter()
        progress = seconds / (60 * minutes)
        for group in optimizer.param_groups:
            group["lr"] = 0.002 * cosine_rate(progress, step, 50)
        x, target = _pairs(task.others, noisy, rng)
        x, target = (x - mean) / std, (target - mean) / std
        loss = (net(channels_last(x)) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 10)
        optimizer.step()
        average.update(average.next_weight())
        step += 1
        seconds += time.perf_counter() - began
        if seconds >= due:
            due += 60 * minutes / POINTS
            estimate = _supervised_estimate(net, average, task, mean, std)
            curve.append((round(seconds), round(task.score(estimate), 2)))
    one, four = (
        round(task.score(_supervised_estimate(net, average, task, mean, std, n)), 2)
        for n in (1, len(VIEWS))
    )
    return {"steps": step, "psnr": one, "psnr_of_views": four, "curve": curve}


def _pairs(
    clean: Any, noisy: Any, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    xs, targets = [], []
    height, width = clean.shape[1:]
    for _ in range(BATCH):
        n, top, left = (
            int(rng.integers(s)) for s in (len(clean), height - 63, width - 63)
        )
        box = (n, slice(top, top + 64), slice(left, left + 64))
        flip = -1 if rng.random() < 0.5 else 1
        xs.append(noisy[box][::flip].copy())
        targets.append(clean[box][::flip].copy())
    first, second = (
        torch.from_numpy(np.stack(crops))[:, None] for crops in (xs, targets)
    )
    return first, second


@torch.no_grad()
def _supervised_estimate(
    net: nn.Module,
    average: AveragedWeights,
    task: Problem,
    mean: float,
    std: float,
    n_views: int = 1,
) -> Any:
    """Return the estimate, averaged over views as COSDD's samples are."""
    wide = tuple(slice(s.start - CONTEXT, s.stop + CONTEXT) for s in JUDGED)
    x = torch.from_numpy((task.noisy[0][wide] - mean) / std)[None, None]
    average.swap()
    estimates = [v.back(net(channels_last(v.of(x)))) for v in VIEWS[:n_views]]
    y = torch.stack(estimates).mean(0)
    average.swap()
    return y[0, 0, CONTEXT:-CONTEXT, CONTEXT:-CONTEXT].numpy() * std + mean
