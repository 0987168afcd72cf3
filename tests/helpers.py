"""What tests share: tiny networks and recipes."""

from pathlib import Path

import torch

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.methods.registry import get_method
from napari_cosdd.training.recipe import Recipe

#: Networks small enough to train in a second.
TINY = {
    "cosdd": {
        "n_levels": 2,
        "n_channels": 8,
        "n_latents": 4,
        "n_code": 8,
        "decoder_channels": 8,
        "decoder_layers": 2,
        "signal_channels": 8,
        "receptive_field": 5,
        "noise_axis": "x",
    },
    "n2v": {"n_channels": 8, "n_levels": 2, "noise_axis": "x", "receptive_field": 5},
}
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


def build(name: str, ndim: int = 2, n_image_channels: int = 1, **settings):
    kind = get_method(name)
    config = kind.Config.model_validate(TINY[name] | settings)
    torch.manual_seed(0)
    return kind(config, spec(ndim, n_image_channels))


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
