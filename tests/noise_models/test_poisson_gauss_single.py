"""The Poisson-Gauss noise model from a single noisy image."""

import numpy as np
import pytest
import torch

from napari_cosdd.datasets.simulate import cells
from napari_cosdd.noise_analysis.signal_dependence import variance_of_image
from napari_cosdd.noise_models.poisson_gauss import PoissonGaussNoise

GAIN, OFFSET, READ = 2.0, 100.0, 3.0


@pytest.mark.parametrize("n_cells", [6, 40])
@pytest.mark.parametrize("brightest", [500, 2000])
def test_a_dark_background_keeps_its_noise(n_cells, brightest):
    rng = np.random.default_rng(1)
    clean = cells((384, 384), rng, n=n_cells)
    photons = 20 + brightest * (clean - clean.min()) / np.ptp(clean)
    read = rng.normal(0, READ, photons.shape)
    noisy = np.rint(GAIN * rng.poisson(photons) + OFFSET + read)
    curve = variance_of_image(noisy, None)
    config = PoissonGaussNoise.of_curve(curve.signal, curve.variance).config
    assert config.gain == pytest.approx(GAIN, rel=0.15)
    dark = GAIN * 20 + OFFSET
    variance = max(config.gain * dark + config.readout, config.floor)
    assert variance == pytest.approx(GAIN * 20 * GAIN + READ**2, rel=0.25)


def test_the_noise_is_never_far_below_the_lowest_that_was_measured():
    signal = np.array([100.0, 500, 1000, 2000])
    variance = np.array([90.0, 1500, 4000, 9000])  # as steep edges leave it
    model = PoissonGaussNoise.of_curve(signal, variance)
    darker = torch.full((20_000,), 60.0)  # where the line is negative
    assert model.config.gain * 60 + model.config.readout < 0
    noisy = model.sample(darker, torch.Generator().manual_seed(0))
    assert float(noisy.var()) == pytest.approx(45, rel=0.05)
