from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from napari_cosdd.checks.evidence import Evidence
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.images.stack import Stack
from napari_cosdd.methods.values import Needs
from napari_cosdd.noise_analysis.report import report


def rows_noise(shape, rng):
    """Noise of unit deviation, correlated along rows."""
    white = rng.normal(size=shape)
    blurred = ndimage.gaussian_filter1d(rng.normal(size=shape), 1, axis=-1)
    return (white + 2 * blurred) / np.sqrt(1 + 4 / (2 * np.sqrt(np.pi)))


@pytest.fixture
def size():
    return 192, 192


@pytest.fixture
def world(size):
    """A smooth scene, and how its noise is drawn."""
    rng = np.random.default_rng(0)
    scene = ndimage.gaussian_filter(rng.normal(size=(1, *size)), (0, 8, 8))
    scene *= 3 / scene.std()
    scene[:, :, : size[1] // 2] = scene[:, :, : size[1] // 2].min()  # a flat background
    return SimpleNamespace(scene=scene, rng=rng, noise=rows_noise)


@pytest.fixture
def make(world):
    """Return evidence of a model that is right, but for what is given."""

    def build(**given):
        scene, rng = world.scene, world.rng
        noisy = scene + world.noise(scene.shape, rng)
        values = {
            "noisy": noisy,
            "solutions": np.stack([scene, scene]),
            "redrawn": np.stack([scene + world.noise(scene.shape, rng)] * 2),
            "quantiles": rng.uniform(size=scene.shape),
            "raw": report(Stack(noisy, "SYX", 2)),
            "needs": Needs(noise_axis=True),
            "axis": "x",
            "reach": 9,
            "losses": {
                "kl_0": 0.1,
                "kl_1": 0.05,
                "explained": 0.9,
                "explainable": 0.9,
            },
            "problem": None,
            "learned": "they explain 0.90 of a signal power of 0.90",
            "unlike": (),
            "trained_on": TrainedOn(levels_1_50_99=(0, 1, 2)),
            "history": {"step": [100, 500, 1000], "loss": [1.0, 0.5, 0.5]},
        }
        return Evidence(**(values | given))

    return build
