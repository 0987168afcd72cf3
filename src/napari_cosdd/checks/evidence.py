"""What a model makes of an image, to be judged.

The judged solutions are posterior samples, not their mean. If the model is right, the
image and a sample are distributed as the image and the true signal are, so image minus
sample is distributed as the noise: centred at every level, correlated as the noise,
and uncorrelated with the sample. The mean has no such property: what it leaves is the
noise without what cannot be told from signal.
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

#: Side of the flat patches that residual and noise are compared in, px; largest lag.
FLAT, FLAT_LAGS = 32, 6


@dataclass(frozen=True)
class Evidence:
    """What a model makes of a part of an image, in units of its normalization.

    Channels, images and the planes of stacks all lie along n.

    Attributes
    ----------
    noisy : ndarray, shape (n, y, x)
        What is judged.
    solutions : ndarray, shape (k, n, y, x)
        Posterior samples; of a method without samples its one estimate.
    redrawn : ndarray, shape (j, n, y, x)
        Noisy images with the signal of the first samples and noise of the model; empty
        for a method that draws none.
    quantiles : ndarray, shape (n, y, x)
        P(X <= x) of each pixel given those before it and the signal; empty likewise.
    raw : NoiseReport
        The noise as it is seen without the model.
    needs : Needs
        What the method needs: whether it learns from targets, has a noise axis.
    axis : {"x", "y", "z", "none"}
        Along which the model takes the noise as correlated. A method that learns from
        targets takes noise as it is: the image's own axis.
    reach : int
        Earlier pixels that the model of the noise sees.
    losses : mapping
        Validation losses on the same pixels.
    problem : Problem or None
        What the method says is wrong with these losses.
    learned : str
        What the latents carry, in the method's words; empty without latents.
    unlike : tuple of str
        In what the image differs from the training data.
    trained_on : TrainedOn
        What the model remembers of its training images.
    history : mapping
        Of the training.
    reference : ndarray, shape (n, y, x), or None
        The same part of a clean image, where there is one.
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
        """Whether there is one estimate only, which saw the pixel it estimates."""
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
        """Number of the level of each solution's pixel, (k, n, y, x)."""
        return levels_of(self.solutions)

    @cached_property
    def removed(self) -> Autocorrelation:
        """Autocorrelation of the residuals, of unit deviation at every level."""
        return autocorrelation_of(standardized(self.residuals, self.levels))

    @cached_property
    def in_flat_patches(self) -> tuple[Autocorrelation, Autocorrelation] | None:
        """Autocorrelation of the residuals and of the noise, in the same flat patches.

        None where the image is too small for them.
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
        """Autocorrelation of what the model of the noise does not expect."""
        if not self.quantiles.size:
            return None
        normal = ndtri(np.clip(self.quantiles, 1e-6, 1 - 1e-6))
        return autocorrelation_of(np.asarray(normal))

    @cached_property
    def biases(self) -> tuple[list[float], list[float]]:
        """Levels of the solutions, and the residuals' mean there in deviations."""
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
        """Return how many independent pixels the image is worth.

        All samples share one image: their number does not count.
        """
        return independent_pixels(self.noisy.size, self.removed, of_means=of_means)
