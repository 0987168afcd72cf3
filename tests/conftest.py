import os
from unittest.mock import patch

import numpy as np
import pytest

# Trainings are compared bit for bit, and tiny networks gain nothing from a second one.
os.environ["OMP_NUM_THREADS"] = "1"

import torch

# Virtual Macs have an Apple GPU that computes nothing.
torch.backends.mps.is_available = lambda: False

from helpers import tiny_recipe
from napari_cosdd import api
from napari_cosdd.datasets.simulate import cells, stripes
from napari_cosdd.methods.registry import METHODS
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_models import mixture
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.calibrate import calibrate_pairs


@pytest.hookimpl(tryfirst=True)  # before any fixture
def pytest_runtest_setup():
    """Compute with one thread: numba, which napari's Labels load, takes all cores."""
    torch.set_num_threads(1)


@pytest.fixture(params=sorted(METHODS))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A clean phantom and the same with stripes, grey levels."""
    rng = np.random.default_rng(0)
    clean = cells((96, 128), rng, n=12)
    return 1000 * clean, 1000 * stripes(clean, rng, gain=0.008, gaussian=0.04, row=0.05)


@pytest.fixture(scope="session")
def camera(pair) -> NoiseModel:
    """The noise model of the noise in `pair`, roughly fitted."""
    with patch.object(mixture, "STARTS", 1):
        return calibrate_pairs(*pair, "mixture")


@pytest.fixture(scope="session")
def noisy(pair) -> np.ndarray:
    return pair[1]


@pytest.fixture(scope="session")
def model(noisy) -> TrainedModel:
    """A trained model, small and not good."""
    job = api.prepare_run(api.as_images(noisy, "YX"), tiny_recipe())
    *_, last = job.run()
    return last.result
