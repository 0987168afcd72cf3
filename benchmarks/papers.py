"""The methods of the papers against each other: all methods on all kinds of noise.

Trained for the same time on each task, scored as images and as a table.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.common import RESULTS, save
from benchmarks.papers_tasks import WHOLE, Part, Task, tasks
from napari_cosdd import api
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import NO_ASSETS
from napari_cosdd.metrics import psnr, score
from napari_cosdd.noise_models.base import NoiseModel

#: The kind of a noise model whose signal is the result of Noise2Void on the noisy
#: images themselves.
BOOTSTRAPPED = "bootstrapped"
#: Method, preset, kind of noise model, and settings, by the name shown.
METHODS: dict[str, tuple[str, str, str | None, dict[str, Any]]] = {
    "n2v": ("n2v", "point", None, {}),
    "sn2v": ("n2v", "quick", None, {}),
    "deconoising": ("deconoising", "quick", None, {}),
    "pn2v, histogram": ("pn2v", "quick", "histogram", {}),
    "pn2v, mixture": ("pn2v", "quick", "mixture", {}),
    "pn2v, poisson_gauss": ("pn2v", "quick", "poisson_gauss", {}),
    "pn2v, bootstrapped": ("pn2v", "quick", BOOTSTRAPPED, {}),
    "divnoising": ("divnoising", "quick", None, {}),
    "divnoising, mixture": ("divnoising", "quick", "mixture", {}),
    "divnoising, bootstrapped": ("divnoising", "quick", BOOTSTRAPPED, {}),
    "hdn": ("hdn", "quick", None, {}),
    "hdn, histogram": ("hdn", "quick", "histogram", {}),
    "hdn, mixture": ("hdn", "quick", "mixture", {}),
    "hdn, bootstrapped": ("hdn", "quick", BOOTSTRAPPED, {}),
    "hdn36": (
        "hdn",
        "quick",
        "mixture",
        {"n_levels": 6, "blind_levels": 2, "stem_stride": 1},
    ),
    "autonoise": ("autonoise", "quick", "autoregressive", {}),
    "cosdd": ("cosdd", "quick", None, {}),
    "n2n": ("n2n", "quick", None, {}),
    "care": ("care", "quick", None, {}),
}
#: Pixels around the judged part that are denoised with it; posterior samples.
CONTEXT, N_SAMPLES = 64, 100
#: Largest number of images from which a noise model is bootstrapped.
FRAMES = 8
#: Bootstrapped noise models by task.
_BOOTSTRAPPED: dict[str, NoiseModel] = {}


def run(
    console: Console, names: list[str], methods: list[str], minutes: float, seed: int
) -> None:
    """Train and score each method on each task; save the results after each."""
    for name in names:
        task = tasks()[name]()
        noisy = task.noisy[0][task.judged]
        filters = {"noisy": _scores(task, noisy), "blur": task.blur}
        console.print(name, filters)
        save("papers", {f"{name}/filters": filters})
        for method in methods:
            found = _train_and_score(task, name, method, minutes, seed)
            if found is not None:
                console.print(f"{name}/{method}: {found}", highlight=False)
                key = f"{name}/{method}" + (f"/seed{seed}" if seed else "")
                save("papers", {key: found})


def _scores(task: Task, estimate: NDArray[Any]) -> dict[str, float]:
    """Return PSNR, PSNR after the best gain and offset, and SSIM."""
    found = score(estimate, task.truth, task.peak)
    return {name: round(value, 3) for name, value in found._asdict().items()}


def _train_and_score(
    task: Task, name: str, shown: str, minutes: float, seed: int
) -> dict[str, Any] | None:
    """Return scores, steps and the time; None if the task has no pairs for it."""
    method, preset, kind, settings = METHODS[shown]
    if get_method(method).needs.noise_axis and shown != "n2v":
        settings = {"noise_axis": task.axis} | settings
    training = {"seed": seed, "device": "cpu", "time_limit": minutes}
    training["max_steps"] = 10**7
    recipe = api.Recipe.preset(method, preset).changed(settings, training)
    images, targets = task.noisy, None
    target = get_method(method).needs.target
    if target != "none":
        pairs = task.clean_pairs if target == "clean" else task.pairs
        if not pairs:
            return None
        images, targets = pairs
    assets = _assets(task, name, kind, training)
    job = api.prepare_run(
        [api.Image(images, "SYX")],
        recipe,
        targets=[] if targets is None else [api.Image(targets, "SYX")],
        assets=assets,
    )
    last: Any = list(job.run())[-1]
    wide, inner = _with_context(task.judged)
    made = api.denoise(
        task.noisy[0][wide], last.result, axes="YX", n_samples=N_SAMPLES, device="cpu"
    )
    estimate = made.mean[inner]
    _keep_picture(name, shown, task, estimate)
    return _scores(task, estimate) | {"steps": last.step, "minutes": minutes}


def _assets(
    task: Task, name: str, kind: str | None, training: dict[str, Any]
) -> api.Assets:
    """Return the noise model of a task; a bootstrapped one trains Noise2Void before."""
    if kind is None:
        return NO_ASSETS
    if kind != BOOTSTRAPPED:
        return api.Assets(task.noise_model(kind))
    if name not in _BOOTSTRAPPED:
        recipe = api.Recipe.preset("n2v", "point").changed({}, training)
        last: Any = [*api.prepare_run([api.Image(task.noisy, "SYX")], recipe).run()][-1]
        some = task.noisy[:FRAMES]
        _BOOTSTRAPPED[name] = api.calibrate(some, axes="SYX", model=last.result)
    return api.Assets(_BOOTSTRAPPED[name])


def _with_context(judged: Part) -> tuple[Part, Part]:
    """Return the part that is denoised, and where the judged part lies in it."""
    if judged == WHOLE:
        return WHOLE, WHOLE
    y, x = (slice(max(0, s.start - CONTEXT), s.stop + CONTEXT) for s in judged)
    inner = [
        slice(s.start - w.start, s.stop - w.start)
        for s, w in zip(judged, (y, x), strict=True)
    ]
    return (y, x), (inner[0], inner[1])


# The table and the picture ------------------------------------------------------------


def markdown() -> str:
    """Return the stored PSNR and SSIM, a row per method; seeds are averaged."""
    results = json.loads((RESULTS / "papers.json").read_text())["results"]
    names = [n for n in tasks() if f"{n}/filters" in results]
    rows = [["", *names], ["---"] * (len(names) + 1)]
    for label in ("noisy", "blur", *METHODS):
        cells = [_cell(results, name, label) for name in names]
        if any(cell != "–" for cell in cells):
            rows.append([label, *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(results: dict[str, Any], name: str, label: str) -> str:
    """Return "32.80 (.912)": the PSNR, and the SSIM where it was measured."""
    filters = results[f"{name}/filters"]
    if label in filters:
        found = [filters[label]]
    else:
        keys = (f"{name}/{label}", *(f"{name}/{label}/seed{s}" for s in range(1, 10)))
        found = [results[key] for key in keys if key in results]
    found = [{"psnr": f} if isinstance(f, float) else f for f in found if f is not None]
    if not found:
        return "–"
    text = f"{np.mean([f['psnr'] for f in found]):.2f}"
    ssims = [f["ssim"] for f in found if "ssim" in f]
    return f"{text} ({np.mean(ssims):.3f})" if ssims else text


def _keep_picture(name: str, shown: str, task: Task, estimate: NDArray[Any]) -> None:
    """Keep what the picture of a task needs, in a file that is not committed."""
    path = _pictures(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = dict(np.load(path)) if path.exists() else {}
    known |= {
        "noisy": task.noisy[0][task.judged],
        "truth": task.truth,
        "peak": task.peak,
        shown: estimate,
    }
    np.savez(path, **known)


def _pictures(name: str) -> Any:
    return RESULTS / "estimates" / f"{name.replace('/', '-').replace(' ', '-')}.npz"


def picture(name: str, methods: Sequence[str]) -> None:
    """Draw crops of noisy, methods and truth side by side, each with an inset."""
    from matplotlib.figure import Figure

    if not _pictures(name).exists():
        return
    images = dict(np.load(_pictures(name)))
    shown = ["noisy", *(m for m in methods if m in images), "truth"]
    columns = min(5, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure((2.4 * columns, 2.65 * rows), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    truth = images["truth"]
    low, high = np.percentile(truth, [0.5, 99.7])
    style = {"cmap": "gray", "vmin": low, "vmax": high, "interpolation": "nearest"}
    middle = [n // 2 for n in truth.shape]
    crop = tuple(slice(max(0, m - 80), m + 80) for m in middle)
    detail = tuple(slice(m - 16, m + 16) for m in middle)
    peak = float(images["peak"])
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, label in zip(axes.flat, shown, strict=False):
        axis.imshow(images[label][crop], **style)
        inset = axis.inset_axes((0.58, 0.0, 0.42, 0.42))
        inset.imshow(images[label][detail], **style)
        inset.set(xticks=[], yticks=[])
        for spine in inset.spines.values():
            spine.set_color("white")
        quality = "" if label == "truth" else f" {psnr(images[label], truth, peak):.2f}"
        axis.set_title(label + quality, fontsize=9)
    path = RESULTS / f"papers-{_pictures(name).stem}.png"
    figure.savefig(path, dpi=110)
