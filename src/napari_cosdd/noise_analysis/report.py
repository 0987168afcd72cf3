"""The report on an image's noise: its source, correlation and facts."""

import math
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.datasets.summary import NoiseSummary
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import Region
from napari_cosdd.images.outliers import without_outliers
from napari_cosdd.images.saturation import SATURATED, cut_off
from napari_cosdd.images.stack import Stack
from napari_cosdd.noise_analysis.autocorrelation import (
    MAX_LAG,
    Autocorrelation,
    autocorrelation,
)
from napari_cosdd.noise_analysis.facts import (
    NoiseFacts,
    agreed,
    facts_of,
    facts_of_residual,
)
from napari_cosdd.noise_analysis.signal_dependence import (
    SignalDependence,
    variance_of_image,
    variance_of_residual,
)
from napari_cosdd.noise_analysis.sources import flat_patches, frame_differences
from napari_cosdd.remedies import Remedy

MeasuredOn = Literal["flat patches", "region", "frame differences", "residual"]
#: Number of planes that are measured, spread over the stack.
PLANES = 12
#: Largest side of a plane, pixels.
SIDE = 2048
#: Pixels of all planes from which fewer planes suffice.
PIXELS = 1 << 24
#: Smallest number of planes.
FEW_PLANES = 3
#: Sides of flat patches, pixels, in the order in which they are tried.
SIZES = (64, 32, 24)
#: Smallest side of an image in which noise is measured, pixels.
SMALLEST = 12
#: Smallest number of pixels of flat patches without doubtful ones: four patches.
ENOUGH = 4 * 24**2
#: Standard error below which the first clean size is taken.
SURE = 0.02


@dataclass(frozen=True)
class NoiseReport:
    """The noise of an image: its source, correlation and dependence on the signal.

    Attributes
    ----------
    source : {"flat patches", "region", "frame differences", "residual"}
        Where pure noise was measured.
    correlation : Autocorrelation
        Correlation by lag in pixels, with its standard error.
    facts : NoiseFacts
        Axis, reach, receptive field in pixels, and a sentence.
    dependence : SignalDependence
        Variance, grey levels squared, against signal, grey levels.
    n_outliers : int
        Number of hot or dead pixels and cosmic rays, which were left out.
    residual : Autocorrelation or None
        Of what a first denoising removed, if the facts are from a second look.
    cut_off : float
        Share of the pixels that were cut off at the highest grey level.
    """

    source: MeasuredOn
    correlation: Autocorrelation
    facts: NoiseFacts
    dependence: SignalDependence
    n_outliers: int = 0
    residual: Autocorrelation | None = None
    cut_off: float = 0.0

    def __repr__(self) -> str:
        return f"NoiseReport({self.source}: {self.facts.sentence})"

    @property
    def left_out(self) -> str:
        """Sentences on pixels that were left out or cut off; empty without any."""
        return " ".join(filter(None, (self._outliers, self._saturation)))

    @property
    def _saturation(self) -> str:
        if self.cut_off < SATURATED:
            return ""
        return (
            f"{self.cut_off:.1%} of the pixels have the highest grey level: what was "
            "cut off there cannot be restored."
        )

    @property
    def _outliers(self) -> str:
        n = self.n_outliers
        if not n:
            return ""
        found = f"{n} pixels stick out" if n > 1 else "1 pixel sticks out"
        were = "were" if n > 1 else "was"
        return (
            f"{found} (hot or dead pixels, stuck rows or columns, cosmic "
            f"rays or points of signal) and {were} left out of this."
        )

    @property
    def advice(self) -> NoiseFacts:
        """Former name of `facts`; `api.recommend` says which method suits."""
        message = "NoiseReport.advice is NoiseReport.facts now; see recommend()"
        warnings.warn(message, FutureWarning, stacklevel=2)
        return self.facts

    @property
    def summary(self) -> NoiseSummary:
        """Key numbers: correlation at lags 1 to 5, variance against signal."""
        return NoiseSummary(
            along_x=self.correlation.along_x[1:6].tolist(),
            along_y=self.correlation.along_y[1:6].tolist(),
            signal=self.dependence.signal.tolist(),
            variance=self.dependence.variance.tolist(),
            power=self.correlation.variance,
        )


def report(
    stack: Stack,
    *,
    region: Region | None = None,
    frames: bool = False,
    estimate: Stack | None = None,
) -> NoiseReport:
    """Measure the noise of a stack, in planes of y and x.

    Parameters
    ----------
    stack : Stack
        Has two spatial axes. The correlation is measured on all channels, the
        variance against signal on the first plane of the first channel.
    region : tuple of two slices, optional
        A region with noise alone; default: flat patches, found automatically.
    frames : bool
        The images are repeats of a static scene: measure the differences of
        neighbouring ones. With an estimate, consecutive images are measured.
    estimate : Stack, optional
        Denoised images; the noise is `stack` minus these.

    Raises
    ------
    BadInputError
        If the image is too small or holds no noise.
    """
    cleaned = without_outliers(_planes(stack, region, consecutive=frames))
    planes, n_outliers, doubtful = cleaned
    if estimate is not None:
        return _of_residual(planes, _planes(estimate, region, frames))
    if region is not None:
        source: MeasuredOn = "region"
        correlation = _measure([list(channel) for channel in planes])
    elif frames:
        source = "frame differences"
        correlation = _of_frames(planes)
    else:
        source = "flat patches"
        correlation = _of_flat_patches(_where_selected(planes, stack), doubtful)
    facts = facts_of(correlation)
    told = facts.pattern in ("one axis", "both axes")
    if source == "flat patches" and told and len(planes) > 1:
        facts = agreed(facts, _facts_of_channels(_where_selected(planes, stack)))
    axis = None if facts.axis == "none" else facts.axis
    first = _where_selected(planes, stack)[0][0]
    if region is not None:
        first = without_outliers(_planes(stack, None)[0][0])[0]
    dependence = variance_of_image(first, axis)
    cut = cut_off(planes)
    return NoiseReport(source, correlation, facts, dependence, n_outliers, cut_off=cut)


def _of_residual(planes: NDArray[Any], estimates: NDArray[Any]) -> NoiseReport:
    residual = planes.astype(np.float64) - estimates
    correlation = _measure([list(channel) for channel in residual])
    dependence = variance_of_residual(estimates[0], residual[0])
    facts = facts_of_residual(correlation)
    return NoiseReport("residual", correlation, facts, dependence)


def _of_frames(planes: NDArray[Any]) -> Autocorrelation:
    """Measure differences of frames; neighbouring differences share a frame."""
    n = planes.shape[1] - 1
    correlation = _measure([list(frame_differences(channel)) for channel in planes])
    return replace(correlation, inflation=float(np.sqrt(1 + 0.5 * (n - 1) / n)))


def _of_flat_patches(
    planes: NDArray[Any], doubtful: NDArray[np.bool_] | None
) -> Autocorrelation:
    """Measure the largest flat patches that give a clean result, for long lags.

    Patches with pixels that stick out are left out where there are enough others: a
    single track of a particle would outweigh the noise. In the dark of a photon
    counter, nearly all patches have some.
    """
    if doubtful is not None:
        with suppress(BadInputError):
            sound = _of_largest_patches(np.where(doubtful, np.nan, planes))
            if sound.n_pixels >= ENOUGH:
                return sound
    return _of_largest_patches(planes)


def _facts_of_channels(planes: NDArray[Any]) -> list[NoiseFacts]:
    """Return the facts of each channel, (c, n, y, x); of a constant one, none."""
    facts = []
    for channel in planes[:, None]:
        try:
            facts.append(facts_of(_of_flat_patches(channel, None)))
        except BadInputError:
            facts.append(NoiseFacts("unclear", "none", 0, 0, False, ""))
    return facts


def _of_largest_patches(planes: NDArray[Any]) -> Autocorrelation:
    """Measure the channels that are not constant."""
    alive = [channel for channel in planes if np.nanmax(channel) > np.nanmin(channel)]
    planes = np.stack(alive) if 0 < len(alive) < len(planes) else planes
    correlations: list[Autocorrelation] = []
    for size in SIZES:
        try:
            channels = [flat_patches(channel, size)[0] for channel in planes]
            correlations.append(_measure(channels, remove_signal=True))
        except BadInputError:
            if size == SIZES[-1] and not correlations:
                raise
            continue  # none so large is selected as a whole, or it is all structure
        if facts_of(correlations[-1]).clean and correlations[-1].standard_error < SURE:
            return correlations[-1]
    return min(correlations, key=lambda correlation: correlation.standard_error)


def _measure(
    channels: list[list[NDArray[Any]]], remove_signal: bool = False
) -> Autocorrelation:
    powers = [
        float(np.mean([np.var(p, dtype=float) for p in channel]))
        for channel in channels
    ]
    patches = [  # unit variance per channel, so that channels have equal weight
        p.astype(float) / np.sqrt(power) if power > 0 else p
        for channel, power in zip(channels, powers, strict=True)
        for p in channel
    ]
    smallest = min(min(p.shape) for p in patches)
    lag = min(MAX_LAG, smallest // 2 - 2)
    if lag < 4:
        raise BadInputError(
            f"the region of noise has only {smallest} pixels along an axis; "
            "12 × 12 are the least"
        )
    correlation = autocorrelation(patches, lag, remove_signal=remove_signal)
    return replace(correlation, variance=correlation.variance * float(np.mean(powers)))


def _planes(
    stack: Stack, region: Region | None, consecutive: bool = False
) -> NDArray[Any]:
    """Return some planes of every channel, (c, n, y, x)."""
    if len(stack.size) != 2:
        raise BadInputError("the noise analysis needs an image with the axes Y and X")
    if region is not None:
        _check_inside(region, stack)
    elif min(stack.size) < SMALLEST:
        raise BadInputError(
            f"{stack.name} has {' × '.join(map(str, stack.size))} pixels (y, x); the "
            f"noise is measured in images of {SMALLEST} × {SMALLEST} at least"
        )
    region = region or _middle(stack)
    most = _n_planes(region, stack.n_channels)
    spread = np.linspace(0, stack.n_images - 1, most).astype(int)
    chosen = range(min(stack.n_images, most)) if consecutive else np.unique(spread)
    planes = np.stack([stack.read(int(n), region) for n in chosen], 1)
    if not np.isfinite(planes).all():
        raise BadInputError(
            "the image has pixels that are not finite (NaN or infinite); fill them "
            f"({Remedy.FILL_MISSING}) or choose another region"
        )
    return planes


def _n_planes(region: Region, n_channels: int) -> int:
    """Return the number of planes to measure, fewer of large ones."""
    size = n_channels * math.prod((r.stop or 0) - (r.start or 0) for r in region)
    return min(PLANES, max(FEW_PLANES, PIXELS // max(1, size)))


def _middle(stack: Stack) -> Region:
    """Return the middle of the planes, `SIDE` pixels wide at most."""
    starts = [max(0, (s - SIDE) // 2) for s in stack.size]
    sizes = zip(starts, stack.size, strict=True)
    return tuple(slice(a, a + min(s, SIDE)) for a, s in sizes)


def _where_selected(planes: NDArray[Any], stack: Stack) -> NDArray[Any]:
    """Return the middle of the planes (c, n, y, x) with NaN where not selected."""
    selected = stack.selected(_middle(stack))
    return planes if selected is None else np.where(selected, planes, np.nan)


def _check_inside(region: Region, stack: Stack) -> None:
    """Refuse a region that reaches beyond the image."""
    ends = [(r.start or 0, r.stop or 0) for r in region]
    if not all(0 <= a < b <= n for (a, b), n in zip(ends, stack.size, strict=True)):
        bounds = ", ".join(f"{a}:{b}" for a, b in ends)
        raise BadInputError(
            f"the region {bounds} (y, x) is not inside the image of "
            f"{' × '.join(map(str, stack.size))} pixels"
        )
