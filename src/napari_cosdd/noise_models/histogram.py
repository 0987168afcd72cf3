"""A noise model as a two-dimensional histogram of (signal, noisy pixel).

Krull et al., "Probabilistic Noise2Void", Frontiers in Computer Science 2020, section
5.2: 256 × 256 bins over the range of the data.
"""

import math
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import stats
from torch import Tensor

from napari_cosdd.noise_models.base import NoiseModel, NoiseModelConfig
from napari_cosdd.noise_models.dark_level import stay_in_place

#: Default number of bins of the signal, and of the noisy pixel, as in the paper.
BINS = 256
#: Probability of a wide Gaussian around the signal that is mixed in. It keeps the
#: density positive in empty bins, with a gradient towards the signal.
TAIL = 1e-5
#: Share of noisy pixels at either end that the bins exclude as outliers.
OUTSIDE = 1e-5
#: Distance within which rows share their pairs, deviations of the noise.
SMOOTHING = 0.5
#: Largest such distance, rows.
WIDEST = 16
#: Largest number of pairs that are counted.
MOST = 2_000_000


class HistogramConfig(NoiseModelConfig):
    """The bins of the histogram."""

    noisy_range: tuple[float, float]
    n_signal: int = Field(default=BINS, ge=2, le=4096)
    n_noisy: int = Field(default=BINS, ge=2, le=4096)

    @model_validator(mode="after")
    def _bins_are_a_range(self) -> Self:
        low, high = self.noisy_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError("expected a finite, non-empty range of noisy pixels")
        return self


class HistogramNoise(NoiseModel):
    """Normalized counts for each signal, interpolated linearly between rows.

    Parameters
    ----------
    config : HistogramConfig
        Range and number of the bins.
    """

    kind = "histogram"
    title = "histogram"
    Config = HistogramConfig
    config: HistogramConfig
    probability: Tensor
    cumulative: Tensor

    def __init__(self, config: HistogramConfig) -> None:
        super().__init__()
        self.config = config
        shape = config.n_signal, config.n_noisy
        #: Probability of each bin of x in the rows of s, (n_signal, n_noisy).
        self.register_buffer("probability", torch.full(shape, 1 / config.n_noisy))
        #: Cumulative probability at the edges of the bins, (n_signal, n_noisy + 1).
        steps = torch.linspace(0, 1, config.n_noisy + 1)
        self.register_buffer("cumulative", steps.repeat(config.n_signal, 1))

    @classmethod
    def fit(
        cls,
        signal: NDArray[Any],
        noisy: NDArray[Any],
        rng: np.random.Generator,
        step: float = 0.0,
    ) -> "HistogramNoise":
        """Count pairs; an empty row takes the counts of the nearest filled one."""
        s, x = (np.asarray(a, np.float64).ravel() for a in (signal, noisy))
        low, high = np.quantile(x, [OUTSIDE, 1 - OUTSIDE])
        wide = max(high - low, 1e-6 * max(1.0, abs(high)), step)
        noisy_range = float(low - 0.01 * wide - step), float(high + 0.01 * wide + step)
        ends = float(s.min()), float(s.max())
        if ends[0] == ends[1]:
            ends = ends[0] - 1e-3 * wide, ends[1] + 1e-3 * wide
        config = HistogramConfig(signal_range=ends, noisy_range=noisy_range)
        # Integer grey levels are dithered: bins of other width would alias.
        spread = x + rng.uniform(-step / 2, step / 2, x.shape) if step else x
        rows = np.linspace(*ends, config.n_signal)
        counts = _counts(s, spread, rows, config)
        filled = np.flatnonzero(counts.sum(1))
        nearest = filled[np.abs(np.arange(len(rows))[:, None] - filled).argmin(1)]
        shares = counts[nearest] / counts[nearest].sum(1, keepdims=True)
        model = cls(config)
        model.probability.copy_(torch.from_numpy(shares))
        total = np.concatenate([np.zeros((len(rows), 1)), shares.cumsum(1)], 1)
        model.cumulative.copy_(torch.from_numpy(total))
        return model

    def log_prob(self, x: Tensor, s: Tensor) -> Tensor:
        """Return log p(x | s), nats; differentiable in `s`."""
        x, s = torch.broadcast_tensors(x, s)
        below, share = self._row(s)
        position, inside = self._position(x)
        bins = position.floor().long()
        first, second = (self.probability[row, bins] for row in (below, below + 1))
        density = (first + share * (second - first)) * inside / self._width
        scale = self._tail_scale
        tail = torch.exp(-0.5 * ((x - s) / scale).square())
        tail = TAIL * tail / (scale * math.sqrt(2 * math.pi))
        # Far away the Gaussian underflows in float32; its logarithm is exact.
        far = (
            math.log(TAIL)
            - 0.5 * ((x - s) / scale).square()
            - math.log(scale * math.sqrt(2 * math.pi))
        )
        total = (1 - TAIL) * density + tail
        return torch.where(total > 1e-30, torch.log(total.clamp(min=1e-30)), far)

    def sample(self, s: Tensor, generator: torch.Generator) -> Tensor:
        """Return a noisy pixel for each signal: draw row, bin and position in it."""
        below, share = self._row(s)
        choice, level, place = (
            torch.rand(s.shape, generator=generator, device=s.device) for _ in range(3)
        )
        row = below + (choice < share).long()
        # Adding r to row r makes all rows one sorted array: one search serves all.
        wide = torch.float32 if s.device.type == "mps" else torch.float64
        offset = torch.arange(self.config.n_signal, device=s.device, dtype=wide)
        ends = (self.cumulative[:, 1:].to(wide) + offset[:, None]).flatten()
        flat_bins = torch.searchsorted(ends, row.to(wide) + level.to(wide), right=True)
        last = row * self.config.n_noisy + self.config.n_noisy - 1
        bins = torch.minimum(flat_bins, last) - row * self.config.n_noisy
        return self.config.noisy_range[0] + (bins + place) * self._width

    def cdf(self, x: Tensor, s: Tensor) -> Tensor:
        """Return P(X <= x | s)."""
        x, s = torch.broadcast_tensors(x, s)
        below, share = self._row(s)
        position, _ = self._position(x)
        bins = position.floor().long()
        within = position - bins
        ends = []
        for row in (below, below + 1):
            start, end = self.cumulative[row, bins], self.cumulative[row, bins + 1]
            ends.append((start + within * (end - start)).to(x.dtype))
        return ends[0] + share * (ends[1] - ends[0])

    def _row(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row below each signal, and the weight of the row above."""
        low, high = self.signal_range
        last = self.config.n_signal - 1
        at = ((s - low) * (last / (high - low))).clamp(0, last)
        below = at.detach().floor().long().clamp(max=last - 1)
        return below, at - below

    def _position(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the position of x in units of bins, and whether a bin holds it."""
        low, high = self.config.noisy_range
        at = (x - low) / self._width
        inside = (x >= low) & (x < high)
        return at.clamp(0, self.config.n_noisy * (1 - 1e-6)), inside

    @property
    def _width(self) -> float:
        low, high = self.config.noisy_range
        return (high - low) / self.config.n_noisy

    @property
    def _tail_scale(self) -> float:
        low, high = self.config.noisy_range
        return (high - low) / 4


def _counts(
    s: NDArray[np.float64],
    x: NDArray[np.float64],
    rows: NDArray[np.float64],
    config: HistogramConfig,
) -> NDArray[np.float64]:
    """Return the number of pairs in each bin, (n_signal, n_noisy).

    Each pair counts in all rows within `SMOOTHING` deviations of the noise, shifted to
    the signal of that row. Otherwise chance would make neighbouring rows differ more
    than their signals do, and the gradient with respect to the signal would be noise.
    Pixels of a narrow dark level are not shifted.
    """
    if s.size > MOST:
        chosen = np.random.default_rng(0).integers(0, s.size, MOST)
        s, x = s[chosen], x[chosen]
    step = rows[1] - rows[0]
    nearest_row = np.clip(np.rint((s - rows[0]) / step).astype(int), 0, len(rows) - 1)
    noise = x - s
    deviations = _deviations(noise, nearest_row)
    reach = np.clip(SMOOTHING * deviations / step, 0, WIDEST).astype(int)[nearest_row]
    low, high = config.noisy_range
    width = (high - low) / config.n_noisy
    stays = stay_in_place(s, x, width)
    last = config.n_noisy - 1
    counts = np.zeros((config.n_signal, config.n_noisy))
    for offset in range(-int(reach.max()), int(reach.max()) + 1):
        row = nearest_row + offset
        some = np.flatnonzero((row >= 0) & (row < len(rows)) & (abs(offset) <= reach))
        row = row[some]
        moved = np.where(stays[some], x[some], rows[row] + noise[some])
        bins = np.clip((moved - low) / width, 0, last).astype(int)
        index = row * config.n_noisy + bins
        counts += np.bincount(index, minlength=counts.size).reshape(counts.shape)
    return counts


def _deviations(
    noise: NDArray[np.float64], row: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the robust deviation of the noise at each row, interpolated over gaps."""
    order = np.argsort(row, kind="stable")
    filled, starts = np.unique(row[order], return_index=True)
    parts = np.split(noise[order], starts[1:])
    known = [stats.median_abs_deviation(part, scale="normal") for part in parts]
    return np.interp(np.arange(row.max() + 1), filled, known)
