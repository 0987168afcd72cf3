"""What tests share: tiny networks, their recipes, and what methods need."""

from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from napari_cosdd import api
from napari_cosdd.datasets.simulate import ar1
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.methods.registry import METHODS, get_method
from napari_cosdd.methods.values import NO_ASSETS, Assets
from napari_cosdd.noise_models import autoregressive, mixture
from napari_cosdd.noise_models.calibrate import calibrate_pairs
from napari_cosdd.training.recipe import Recipe

#: Networks small enough to train in a second.
TINY = {name: dict(get_method(name).tiny) for name in METHODS}
TRAINING = {
    "max_steps": 6,
    "crop_size": 32,
    "batch_size": 2,
    "validation_every": 3,
    "warmup_steps": 1,
    "device": "cpu",
}
SHARED = Path(__file__).parents[2] / "shared" / "data"


def spec(ndim: int = 2, n_channels: int = 1) -> DataSpec:
    levels = Normalization(mean=(0.0,) * n_channels, std=(1.0,) * n_channels)
    return DataSpec(ndim=ndim, n_channels=n_channels, normalization=levels)


@cache
def noise_model(kind: str, high: float = 1000.0):
    """A noise model of additive noise, a tenth of the signal's range strong."""
    rng = np.random.default_rng(0)
    if kind == "autoregressive":
        s = np.zeros((128, 160))
        with patch.object(autoregressive, "STEPS", 200):  # a rough fit will do here
            return calibrate_pairs(s, high / 10 * ar1(s.shape, 0.6, rng), kind)
    s = rng.uniform(0, high, 20_000)
    with patch.object(mixture, "STARTS", 1):
        return calibrate_pairs(s, s + rng.normal(0, high / 10, s.shape), kind)


def assets_of(name: str, high: float = 1000.0) -> Assets:
    """What a method needs beside its settings."""
    kinds = sorted(get_method(name).needs.noise_models)
    return Assets(noise_model(kinds[0], high)) if kinds else NO_ASSETS


def build(name: str, ndim: int = 2, n_image_channels: int = 1, **settings):
    """Tiny networks with fresh weights, for data of mean 0 and deviation 1."""
    kind = get_method(name)
    known = TINY[name] | settings
    fields = kind.Config.model_fields
    config = kind.Config.model_validate({k: v for k, v in known.items() if k in fields})
    torch.manual_seed(0)
    return kind(config, spec(ndim, n_image_channels), assets_of(name, 1.0))


def awaken(method: torch.nn.Module) -> torch.nn.Module:
    """Give the branches that start silent some weight, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in method.parameters():
            if not parameter.abs().sum():
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return method


def tiny_recipe(name: str = "cosdd", **training) -> Recipe:
    return Recipe(method=name).changed(TINY[name], TRAINING | training)


def prepared(name: str, noisy, axes: str = "YX", ndim: int = 2, **training):
    """A tiny training of a method, given what it needs."""
    images = api.as_images(noisy, axes)
    target = get_method(name).needs.target
    return api.prepare_run(
        images,
        tiny_recipe(name, **training),
        targets=[] if target == "none" else images,
        assets=assets_of(name),
        ndim=ndim,
    )
