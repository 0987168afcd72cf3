"""Speed and memory: training steps, posterior samples, pairs, noise, growth, seams."""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import tifffile
import torch
import zarr
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import save
from napari_cosdd import api
from napari_cosdd.datasets.crops import Crops
from napari_cosdd.datasets.samples import nuclei
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.devices import on_device
from napari_cosdd.images.formats.tiff import read_tiff
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.cosdd import COSDD
from napari_cosdd.methods.cosdd_settings import COSDDConfig
from napari_cosdd.methods.outputs import DEVIATION, MEAN
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.ancestral import sample_decoder
from napari_cosdd.nets.blocks import channels_last, weights_channels_last
from napari_cosdd.prediction.denoiser import denoise
from napari_cosdd.prediction.latent_noise import PositionNoise
from napari_cosdd.prediction.on_disk import denoising_on_disk
from napari_cosdd.prediction.outputs import outputs_of
from napari_cosdd.prediction.request import DenoiseRequest
from napari_cosdd.prediction.result_files import result_paths
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training import loading
from napari_cosdd.training.batches import batch_of
from napari_cosdd.training.estimate import END
from napari_cosdd.training.loop import train
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.stepper import Stepper

#: Of the public code on such a machine, seconds for a step of 4 × 128² with VAE, signal
#: decoder and direct denoiser; measured on such a machine. Keys: levels/channels.
PUBLIC_STEP = {"6/32": 2.3, "8/64": 8.9, "14/64": 13.7}
#: Seconds for one posterior sample of 128², and for sampling the noise of 128².
PUBLIC_SAMPLE = {"6/32": 0.12, "8/64": 0.43, "14/64": 0.96}
PUBLIC_NOISE = 6.4
#: Planes of a compressed stack.
COMPRESSED = 40
#: Samples that a mean is called exact of.
MANY = 1000
SPEC = DataSpec(
    ndim=2, n_channels=1, normalization=Normalization(mean=(0.0,), std=(1.0,))
)


def run(console: Console, what: list[str], rounds: int) -> None:
    """Measure, print and save each part."""
    parts: dict[str, Callable[[int], dict[str, Any]]] = {
        "steps": steps,
        "samples": samples,
        "pairs": pairs,
        "noise": noise,
        "growth": growth,
        "huge": huge,
        "compressed": compressed,
        "seams": seams,
        "memory": memory,
    }
    for name in what:
        result = parts[name](rounds)
        console.print(name, result)
        save("speed", {name: result})


#: Trainings whose memory is estimated: preset, crop, crops at a time, spatial axes.
ESTIMATED = (
    ("quick", 64, 8, 2),
    ("quick", 64, 8, 3),
    ("quick", 64, 16, 3),
    ("standard", 128, 4, 2),
    ("small", 128, 2, 2),
)


def memory(rounds: int) -> dict[str, Any]:
    """Compare the estimated memory of trainings with its measured peak, GiB."""
    return {
        f"{preset} {n} × {crop}, {ndim}-D": _alone(
            _estimated_and_peak, preset, crop, n, ndim
        )
        for preset, crop, n, ndim in ESTIMATED
    }


def _estimated_and_peak(preset: str, crop: int, n: int, ndim: int) -> dict[str, Any]:
    shape = (24, 300, 300) if ndim == 3 else (3, 600, 600)
    noisy = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    training = {"crop_size": crop, "batch_size": n, "micro_batch": n, "device": "cpu"}
    training |= {"max_steps": 2, "validation_every": 1, "pretrained": False}
    settings = {"noise_axis": "x", "receptive_field": 9}
    recipe = Recipe.preset("cosdd", preset).changed(settings, training)
    images = [api.Image(noisy, "ZYX" if ndim == 3 else "TYX")]
    run = api.prepare_run(images, recipe, ndim=ndim).start()
    for _ in train(run):
        pass
    estimate, peak = run.memory_plan.memory / 2**30, _peak()
    return {
        "estimated": round(estimate, 2),
        "measured": peak,
        "ratio": round(estimate / peak, 2),
    }


def network(size: str, stem_stride: int = 1) -> COSDD:
    """Build a network of the papers' kind: "levels/channels"."""
    n_levels, n_channels = map(int, size.split("/"))
    config = COSDDConfig(
        n_levels=n_levels,
        n_channels=n_channels,
        n_latents=n_channels // 2,
        n_code=n_channels,
        stem_stride=stem_stride,
        downsample_every=2,
        decoder_channels=64,
        decoder_layers=8,
        signal_channels=n_channels,
        signal_layers=4,
        noise_axis="x",
        receptive_field=40,
        direct_denoiser=True,
    )
    torch.manual_seed(0)
    return COSDD(config, SPEC)


def median_time(call: Callable[[], object], rounds: int) -> float:
    """Return the median seconds of a call, after one that does not count."""
    call()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def steps(rounds: int) -> dict[str, Any]:
    """Time training steps of 4 × 128² as the public code's were; peak memory."""
    kinds = {
        "": (1, False),
        ", saving memory": (1, True),
        ", stem stride 2": (2, False),
    }
    return {
        f"{size}{kind}": _alone(_steps, size, *settings, rounds)
        for size in PUBLIC_STEP
        for kind, settings in kinds.items()
    }


def _steps(size: str, stem_stride: int, saving: bool, rounds: int) -> dict[str, Any]:
    config = TrainingConfig(batch_size=4, checkpointing=saving)
    method = network(size, stem_stride)
    stepper = Stepper(method, config, torch.device("cpu"), 0)
    pixels = np.random.default_rng(0).normal(size=(4, 1, 128, 128))
    batch = batch_of(Crops(pixels.astype(np.float32)), torch.device("cpu"))

    def step() -> None:
        list(stepper.step(batch, END, 1e-4, "from random weights"))

    seconds = median_time(step, rounds)
    with FlopCounterMode(display=False) as counter:
        step()
    flops = counter.get_total_flops()
    return {
        "seconds": round(seconds, 3),
        "gigaflop": round(flops / 1e9),
        "share_of_matrix_product": round(flops / seconds / _peak_flops(rounds), 2),
        "megapixels_per_s": round(4 * 128**2 / seconds / 1e6, 4),
        "public_code_s": PUBLIC_STEP[size],
        "times_faster": round(PUBLIC_STEP[size] / seconds, 1),
        "peak_gib": _peak(),
    }


def _peak_flops(rounds: int) -> float:
    """Return the operations per second of a large matrix product: the most there is."""
    a = torch.randn(2048, 2048)
    return 2 * 2048**3 / median_time(lambda: a @ a, max(3, rounds))


def samples(rounds: int) -> dict[str, Any]:
    """Time posterior samples in units of one full pass."""
    results = {"quick, 512²": _samples(quick(), 512, rounds)}
    for size in ("8/64", "14/64"):
        measured = _samples(network(size), 128, rounds)
        results[f"{size}, 128²"] = measured | {"public_code_s": PUBLIC_SAMPLE[size]}
    return results


def quick() -> COSDD:
    """Build the network of the quick preset."""
    settings = {"noise_axis": "x", "receptive_field": 9}
    config = Recipe.preset().changed(settings).settings
    assert isinstance(config, COSDDConfig)
    return COSDD(config, SPEC).eval()


@torch.inference_mode()
def _samples(method: COSDD, side: int, rounds: int) -> dict[str, Any]:
    x = channels_last(torch.randn(1, 1, side, side))
    shapes = _latent_shapes(method, side, 2)

    def noise(n: int) -> PositionNoise:
        signs = [1, -1][:n]
        return PositionNoise([0] * n, (side, side), x.device, signs=signs)

    def draw(features: list[torch.Tensor], n: int) -> torch.Tensor:
        many = [f.expand(n, *f.shape[1:]) for f in features]
        return method.sample_posterior(many, noise(n)).signal

    def forward() -> torch.Tensor:
        """Pass once through ladder, priors and KL, as a training and the papers do."""
        latents = method.ladder.sample_posterior(method.encode(x), noise(1))
        return method.signal(latents.code)

    def draw_noise() -> None:
        pair = noise(2)
        for i, shape in enumerate(shapes):
            pair(i, shape)

    with on_device(method, x.device):  # as the denoiser does, in mirrored pairs
        weights_channels_last(method)
        features = method.encode(x)
        full = median_time(lambda: draw(method.encode(x), 1), rounds)
        further = median_time(lambda: draw(features, 2), rounds) / 2
        whole = median_time(forward, rounds)
        drawing = median_time(draw_noise, rounds) / 2
    return {
        "full_pass_s": round(full, 4),
        "further_sample_s": round(further, 4),
        "forward_with_kl_s": round(whole, 4),
        "further_in_full_passes": round(further / full, 2),
        "further_in_forward_passes_with_kl": round(further / whole, 2),
        "hundred_samples_in_full_passes": round(1 + 99 * further / full, 1),
        "share_of_latent_noise": round(drawing / further, 3),
        "pixel_samples_per_s": round(side**2 / further),
    }


def pairs(rounds: int) -> dict[str, Any]:
    """Compare means of few samples, mirrored or independent, to one of very many."""
    model, part = _trained(256)
    truth = _drawn(model, part, MANY, mirrored=True, seed=1)
    assert truth.deviation is not None
    deviation = float(truth.deviation.mean())
    results = {}
    for n in (2, 4, 8, 16, 40):
        errors = {
            name: _drawn(model, part, n, mirrored=mirrored, seed=2).mean - truth.mean
            for name, mirrored in (("mirrored", True), ("independent", False))
        }
        results[f"{n} samples"] = {
            name: round(float(np.sqrt((e**2).mean())) / deviation, 3)
            for name, e in errors.items()
        }
    return results


def _drawn(
    model: TrainedModel, part: Any, n: int, *, mirrored: bool, seed: int
) -> api.Prediction:
    settings: dict[str, Any] = {"antithetic": mirrored, "seed": seed, "device": "cpu"}
    return api.denoise(part, model, axes="YX", n_samples=n, **settings)


def _trained(side: int) -> tuple[TrainedModel, Any]:
    """Return a model of the nuclei after a minute, and a part of them."""
    image = nuclei()
    recipe = Recipe.preset().changed(training={"time_limit": 1.0, "max_steps": 10**6})
    last: Any = list(api.prepare_run([image], recipe).run())[-1]
    return last.result, np.asarray(image.data)[:side, :side]


def _latent_shapes(method: COSDD, side: int, n: int) -> list[torch.Size]:
    """Return the shapes of the latents, lowest level first."""
    return [
        torch.Size((n, method.config.n_latents, side // s, side // s))
        for s in method.ladder.level_strides
    ]


def noise(rounds: int) -> dict[str, Any]:
    """Time the sampling of noise from the autoregressive decoder."""
    results: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(0)
    for name, method in (
        ("quick", quick()),
        ("small", network("6/64")),
    ):
        for side in (128, 512, 1024):
            code = torch.randn(1, method.config.n_code, side, side)
            draw = partial(sample_decoder, method.decoder, code, 0.01, generator)
            seconds = median_time(draw, max(1, rounds // 2))
            results[f"{name}, {side}²"] = {"seconds": round(seconds, 3)}
    for name in ("quick", "small"):
        first = results[f"{name}, 128²"]["seconds"]
        results[f"{name}, 128²"]["times_faster"] = round(PUBLIC_NOISE / first, 1)
    return results


def growth(rounds: int) -> dict[str, Any]:
    """Time prediction on disk and analysis of ever larger images; peak memory."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for side in (512, 1024, 2048, 4096, 8192):
            path = _large(Path(folder), 1, side)
            results[f"prediction {side}²"] = _alone(_predict, path)
            results[f"analysis {side}²"] = _alone(_analyze, path)
    return results


def huge(rounds: int) -> dict[str, Any]:
    """Time prediction of a whole slide and of a long film; peak memory."""
    results: dict[str, Any] = {}
    for frames, side in ((1, 20_000), (500, 512)):
        with tempfile.TemporaryDirectory() as folder:
            path = _large(Path(folder), frames, side)
            results[f"{frames} × {side}²"] = _alone(_predict, path)
    return results


def compressed(rounds: int) -> dict[str, Any]:
    """Time batches of crops of compressed planes of 2048², loaded and cut on demand."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.tif"
        plane = np.tile(np.asarray(nuclei().data), (2, 2))[:2048, :2048]
        with tifffile.TiffWriter(path) as file:
            for _ in range(COMPRESSED):  # a strip for a plane, as usual
                file.write(plane, compression="zlib", rowsperstrip=2048)
        image = read_tiff(path, path.stem, lazy=True)  # as if over a gigabyte
        recipe = Recipe.preset("cosdd", "quick").changed({"noise_axis": "x"})
        results = {}
        for name, share in (("on demand", 0.0), ("loaded", loading.SHARE)):
            with patch.object(loading, "SHARE", share):
                crops = api.prepare_run([image], recipe).crops
            loaded = isinstance(crops.pairs[0].noisy.data, np.ndarray)
            if loaded != (share > 0):
                raise RuntimeError("too little memory is free to load the stack")
            n, rng = recipe.training.batch_size or 8, np.random.default_rng(0)
            seconds = median_time(partial(crops.batch, n, rng), rounds)
            results[f"{name}, ms"] = round(1e3 * seconds, 2)
    return results


def _large(folder: Path, frames: int, side: int) -> Path:
    """Write the nuclei, repeated, as a zarr of `side` pixels square."""
    path = folder / f"{frames}-{side}.zarr"
    shape, chunks = (frames, side, side), (1, 512, 512)
    array = zarr.create_array(path, shape=shape, chunks=chunks, dtype="u2")
    once = np.asarray(nuclei().data)[:1024, :1024]
    for n in range(frames):
        for y in range(0, side, 1024):
            for x in range(0, side, 1024):
                part = once[: side - y, : side - x]
                array[n, y : y + part.shape[0], x : x + part.shape[1]] = part
    return path


def _predict(path: Path) -> dict[str, Any]:
    model = TrainedModel("cosdd", quick(), TrainingConfig(), margin=(32, 32))
    config = PredictionConfig(n_samples=4)
    image = api.one_image(path, "TYX")
    paths = result_paths(
        path.parent / "out", path.stem, [MEAN, DEVIATION], "zarr", True
    )
    began = time.perf_counter()
    list(denoising_on_disk(model, image, DenoiseRequest(paths, config)))
    return _measured(began, image)


def _analyze(path: Path) -> dict[str, Any]:
    image = api.one_image(path, "TYX")
    began = time.perf_counter()
    api.analyze(image)
    return _measured(began, image)


def _measured(began: float, image: api.Image) -> dict[str, Any]:
    seconds = time.perf_counter() - began
    pixels = float(np.prod(image.data.shape))
    return {
        "seconds": round(seconds, 2),
        "microseconds_per_pixel": round(1e6 * seconds / pixels, 3),
        "peak_gib": _peak(),
    }


def seams(rounds: int) -> dict[str, Any]:
    """Compare tiled samples and means to untiled ones, on a trained model."""
    model, part = _trained(768)
    whole = _denoised(model, part, 4096)
    tiled = _denoised(model, part, 128)
    deviation = whole[1].mean()
    near = np.zeros(part.shape, bool)
    for border in range(128, 768, 128):
        near[border - 4 : border + 4] = near[:, border - 4 : border + 4] = True
    result: dict[str, Any] = {"margin_px": list(model.margin or ())}
    for name, a, b in (
        ("mean", tiled[0], whole[0]),
        ("sample", tiled[2], whole[2]),
    ):
        difference = np.abs(a - b) / deviation
        result[f"{name}, near borders"] = _spread(difference[near])
        result[f"{name}, elsewhere"] = _spread(difference[~near])
    return result


def _spread(values: Any) -> dict[str, float]:
    return {
        "largest": round(float(values.max()), 4),
        "mean": float(f"{values.mean():.2g}"),
    }


def _denoised(model: TrainedModel, part: Any, tile: int) -> tuple[Any, Any, Any]:
    config = PredictionConfig(n_samples=8, n_kept=1, tile_size=tile, device="cpu")
    outputs = outputs_of(model.method, config)
    made = {output: np.zeros(part.shape, np.float32) for output in outputs}
    targets = {output: Stack(m, "YX", 2) for output, m in made.items()}
    list(denoise(model, Stack(part, "YX", 2), targets, config))
    mean, deviation, sample = made.values()
    return mean, deviation, sample


def _alone(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run in a process of its own, so that its peak of memory is its own."""
    with multiprocessing.get_context("spawn").Pool(
        1, _threads, (_n_threads(),)
    ) as pool:
        return pool.apply(function, arguments)


def _n_threads() -> int:
    return torch.get_num_threads()


def _threads(n: int) -> None:
    torch.set_num_threads(n)


def _peak() -> float:
    """Return the most memory that this process has had, GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
