"""The evidence of a model check: results of a model on an image.

The judged solutions are posterior samples, not their mean. If the model is right, the
pair of image and sample has the distribution of the pair of image and true signal. So
image minus sample has the distribution of the noise: centred at every level, correlated
as the noise, and uncorrelated with the sample. Image minus mean has no such property:
it lacks the part of the noise that cannot be distinguished from signal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from napari_cosdd.checks.measures import (
    ENOUGH,
    LEVELS,
    Floats,
    autocorrelation_of,
    independent_pixels,
    levels_of,
    standardized,
)
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.methods.values import Needs, Problem
from napari_cosdd.metrics import Coverage, coverage
from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation, autocorrelation
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.noise_analysis.sources import detrended, flat_patches

#: Side of the flat patches in which residual and noise are compared, pixels.
FLAT = 32
#: Largest lag in flat patches, pixels.
FLAT_LAGS = 6


@dataclass(frozen=True)
class Evidence:
    """Results of a model on a part of an image, in normalized units.

    Channels, images and the planes of stacks all lie along n.

    Attributes
    ----------
    noisy : ndarray, shape (n, y, x)
        Noisy image.
    solutions : ndarray, shape (k, n, y, x)
        Posterior samples; for a method without samples, its single estimate.
    redrawn : ndarray, shape (j, n, y, x)
        Noisy images with the signal of the first samples and noise of the model; empty
        if the method draws no noise.
    quantiles : ndarray, shape (n, y, x)
        P(X <= x) of each pixel given earlier pixels and the signal; empty if the
        method draws no noise.
    raw : NoiseReport
        Noise of the image, measured without the model.
    needs : Needs
        Needs of the method, such as targets or a noise axis.
    axis : {"x", "y", "z", "none"}
        Axis along which the model assumes correlated noise. A method that learns from
        targets assumes none; for it, this is the axis measured on the image.
    reach : int
        Number of earlier pixels that the model of the noise sees.
    losses : mapping
        Validation losses on the same pixels.
    problem : Problem or None
        Problem that the method sees in these losses.
    learned : str
        Text of the method on what the latents carry; empty without latents.
    unlike : tuple of str
        Differences of the image from the training data, in words.
    trained_on : TrainedOn
        Summary of the training images.
    history : mapping
        History of the training.
    reference : ndarray, shape (n, y, x), or None
        The same part of a clean image, if given.
    """

    noisy: Floats
    solutions: Floats
    redrawn: Floats
    quantiles: Floats
    raw: NoiseReport
    needs: Needs
    axis: Literal["x", "y", "z", "none"]
    reach: int
    losses: Mapping[str, float]
    problem: Problem | None
    learned: str
    unlike: tuple[str, ...]
    trained_on: TrainedOn
    history: Mapping[str, list[float | None]]
    reference: Floats | None = None

    @property
    def is_point(self) -> bool:
        """Whether there is a single estimate, which sees the pixels it estimates."""
        return len(self.solutions) == 1

    @property
    def draws_noise(self) -> bool:
        """Whether the method has a model of the noise."""
        return self.redrawn.size > 0

    @property
    def kl(self) -> list[float]:
        """KL of each level, lowest first, nats per pixel and channel."""
        n = sum(key.startswith("kl_") for key in self.losses)
        return [self.losses[f"kl_{i}"] for i in range(n)]

    @cached_property
    def residuals(self) -> Floats:
        """Image minus solution, (k, n, y, x)."""
        return self.noisy - self.solutions

    @cached_property
    def model_noise(self) -> Floats:
        """The model's own noise: redrawn image minus solution, (j, n, y, x)."""
        return self.redrawn - self.solutions[: len(self.redrawn)]

    @cached_property
    def levels(self) -> NDArray[np.int8]:
        """Index of the level of each pixel of the solutions, (k, n, y, x)."""
        return levels_of(self.solutions)

    @cached_property
    def removed(self) -> Autocorrelation:
        """Autocorrelation of the residuals, of unit deviation at every level."""
        return autocorrelation_of(standardized(self.residuals, self.levels))

    @cached_property
    def in_flat_patches(self) -> tuple[Autocorrelation, Autocorrelation] | None:
        """Autocorrelation of the residuals and of the noise, in the same flat patches.

        None if the image is too small.
        """
        side = min(FLAT, *self.noisy.shape[-2:])
        if side < 2 * FLAT_LAGS + 5:
            return None
        noise, corners = flat_patches(self.noisy, side)
        removed = [
            detrended(residual[n, y : y + side, x : x + side])
            for residual in self.residuals
            for n, y, x in corners
        ]
        return (
            autocorrelation(removed, FLAT_LAGS, remove_signal=True),
            autocorrelation(noise, FLAT_LAGS, remove_signal=True),
        )

    @cached_property
    def drawn(self) -> Autocorrelation | None:
        """Autocorrelation of the model's noise, of unit deviation at every level."""
        if not self.draws_noise:
            return None
        levels = self.levels[: len(self.redrawn)]
        return autocorrelation_of(standardized(self.model_noise, levels))

    @cached_property
    def unexpected(self) -> Autocorrelation | None:
        """Autocorrelation of the quantiles' normal scores; zero for a right model."""
        if not self.quantiles.size:
            return None
        normal = ndtri(np.clip(self.quantiles, 1e-6, 1 - 1e-6))
        return autocorrelation_of(np.asarray(normal))

    @cached_property
    def biases(self) -> tuple[list[float], list[float]]:
        """Levels of the solutions, and mean over deviation of the residuals there."""
        levels, biases = [], []
        for i in range(LEVELS):
            here = self.levels == i
            if here.sum() >= ENOUGH * len(self.solutions):
                levels.append(float(self.solutions[here].mean()))
                removed = self.residuals[here]
                biases.append(float(removed.mean() / removed.std()))
        return levels, biases

    @cached_property
    def coverage(self) -> Coverage | None:
        """How often the reference lies in the posterior's intervals."""
        if self.reference is None or self.is_point:
            return None
        return coverage(self.solutions, self.reference)

    def witnesses(self, *, of_means: bool = False) -> float:
        """Return the effective number of independent pixels of the image.

        All samples share one image, so their number does not count.
        """
        return independent_pixels(self.noisy.size, self.removed, of_means=of_means)
