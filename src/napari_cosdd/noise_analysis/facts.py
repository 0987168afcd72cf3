"""Facts from the autocorrelation: the axis and the reach of correlated noise.

No method is named here; `methods.advice` asks each whether it suits these facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation
from napari_cosdd.noise_analysis.profiles import (
    DECIDING,
    deciding,
    in_numbers,
    is_offset,
    is_slight,
    reach_of,
    receptive_field,
)
from napari_cosdd.remedies import Remedy

#: Smallest correlation that counts, even if smaller ones are significant.
WEAKEST = 0.03
#: The same across the axis of the strongest one, where structure shows first.
MATTERS = 0.05
#: Number of standard errors above which a correlation is significant.
SIGNIFICANT = 4.0
#: Ratio of the weaker to the stronger axis above which both count as correlated.
BOTH = 0.5
#: Share of the noise along an axis that neighbouring lines have in common, from which
#: the noise may run along both axes. In the largest patches of 420 images whose noise
#: was smoothed or resampled it was below 33 times, of 190 with noise of rows above 26
#: times, all of fine structure under weak noise; on electron micrographs under strong
#: noise 0.34 at most, on the real images 0.09.
SHARED = 0.4
#: Number of standard errors by which two axes must differ to be told apart: 2 for each,
#: in quadrature.
APART = 2 * 2**0.5
#: Largest distance of the pixels of a grid.
LARGEST_GRID = 6
#: Largest correlation that is slight, for pixels of a grid.
SLIGHT = 0.1
#: Smallest correlation that decides at larger lags.
CLEAR = 0.2
#: The same in standard errors; there are more of these lags.
FAR_SIGNIFICANT = 8.0
#: Correlation that the measurement must be able to detect; if its error is too large
#: for that, the noise is called unclear.
OVERLOOKED = 0.3

Pattern = Literal["one axis", "independent", "both axes", "unclear"]
#: Name of the lines along an axis.
LINES = {"x": "rows", "y": "columns"}


@dataclass(frozen=True)
class NoiseFacts:
    """How the noise of an image is correlated.

    Attributes
    ----------
    pattern : {"one axis", "independent", "both axes", "unclear"}
        Directions in which the noise is correlated; "unclear" if too few pixels show
        noise alone, or the axes do not differ by more than the error.
    axis : {"x", "y", "none"}
        Axis of the strongest correlation.
    reach : int
        Largest significant lag along that axis, pixels; 0 for none.
    receptive_field : int
        Earlier pixels along the axis that a model of this noise should see.
    clean : bool
        Whether the other axis shows no correlation; else signal may contribute.
    sentence : str
        These facts in plain words.
    weak : bool
        Whether the correlation along the axis is too weak to be worth modelling.
    grid : int
        Distance of pixels between which noise along both axes is independent; 1 for
        other noise, or if it reaches too far.
    offsets : bool
        Whether the noise along the axis is an offset of each line, which is longer than
        any receptive field.
    is_alike : bool
        Whether structure across the axis has the shape of the noise along it, so that
        it may be noise, too.
    """

    pattern: Pattern
    axis: Literal["x", "y", "none"]
    reach: int
    receptive_field: int
    clean: bool
    sentence: str
    weak: bool = False
    grid: int = 1
    offsets: bool = False
    is_alike: bool = False

    @property
    def is_clear(self) -> bool:
        """Whether the noise runs along one axis, or is independent."""
        return self.pattern in ("one axis", "independent")

    @property
    def safe_axis(self) -> Literal["x", "y", "none"]:
        """The axis to train along: none if the noise does not clearly run along one."""
        return self.axis if self.pattern == "one axis" and not self.weak else "none"

    @property
    def fits(self) -> bool:
        """Former name of `is_clear`."""
        return self.is_clear


def facts_of(correlation: Autocorrelation) -> NoiseFacts:
    """Return the axis and the reach of noise with this autocorrelation."""
    significant = SIGNIFICANT * correlation.standard_error
    threshold, weakest = _threshold(correlation), max(WEAKEST, significant)
    strength = _strength(correlation)
    axis = _stronger(strength)
    weak = "y" if axis == "x" else "x"
    if strength[axis] < weakest:
        if threshold < OVERLOOKED:
            sentence = _independent(correlation)
            return NoiseFacts("independent", "none", 0, 0, True, sentence)
        return unclear(correlation)
    if strength[weak] > max(threshold, BOTH * strength[axis]):
        return _both_axes(correlation)
    if not strength[axis] - strength[weak] > APART * correlation.standard_error:
        return unclear(correlation)
    if is_shared(correlation, axis):
        return _alike(correlation, axis)
    return _one_axis(correlation, axis)


def _one_axis(correlation: Autocorrelation, axis: Literal["x", "y"]) -> NoiseFacts:
    """Return the facts of noise along an axis."""
    profile = correlation.along(axis)
    across = correlation.along("y" if axis == "x" else "x")
    strength = _strength(correlation)[axis]
    threshold = _threshold(correlation)
    reach = reach_of(profile, min(threshold, strength))
    near = float(np.abs(deciding(profile)).max())
    alone = f", {profile[reach]:.2f} at {reach} px" if near < strength else ""
    far = "at least " if reach == correlation.max_lag else ""
    sentence = (
        f"The noise runs along {LINES[axis]} (axis {axis}), still visible {far}"
        f"{reach} px away (r = {in_numbers(profile)} at 1 to {DECIDING} px{alone}; "
        f"across them {in_numbers(across)})."
    )
    offsets = is_offset(profile, SIGNIFICANT * correlation.standard_error)
    if offsets:
        sentence += (
            f" It hardly falls with distance, as an offset of each {LINES[axis][:-1]} "
            "does, which is longer than any receptive field: subtract the median of "
            f"each {LINES[axis][:-1]} before training, where that holds no signal."
        )
    clean = float(np.abs(deciding(across)).max()) < threshold and strength < 1
    field, slight = receptive_field(reach), is_slight(profile) and near == strength
    return NoiseFacts(
        "one axis", axis, reach, field, clean, sentence, slight, offsets=offsets
    )


def _both_axes(correlation: Autocorrelation) -> NoiseFacts:
    """Return the facts of noise that is correlated along both axes."""
    strength, threshold = _strength(correlation), _threshold(correlation)
    axis = _stronger(strength)
    reach = reach_of(correlation.along(axis), min(threshold, strength[axis]))
    sentence = (
        f"The noise is correlated in both directions ({_both(correlation)}). Look "
        "for signal, flicker or compression in the region measured, or measure a "
        "dark image."
    )
    grid = _grid(correlation, threshold)
    return NoiseFacts(
        "both axes", axis, reach, receptive_field(reach), False, sentence, grid=grid
    )


def unclear(correlation: Autocorrelation) -> NoiseFacts:
    """Return the facts of noise whose axis cannot be told."""
    sentence = (
        "It cannot be told here along which axis the noise is correlated "
        f"({_both(correlation)}, each ± {correlation.standard_error:.2f}): too few "
        "pixels show noise without structure. A dark region or image, repeated frames "
        f"({Remedy.FRAMES}) or a larger image would tell. Until then training without "
        "a noise axis is safe."
    )
    return NoiseFacts("unclear", "none", 0, 0, False, sentence)


def agreed(together: NoiseFacts, channels: Sequence[NoiseFacts]) -> NoiseFacts:
    """Return the facts of all channels together, unless two run along other axes."""
    axes = [f.axis if f.pattern == "one axis" else "none" for f in channels]
    if not {"x", "y"} <= set(axes):
        return together
    lines = {n: LINES[axis] for n, axis in enumerate(axes) if axis in LINES}
    words = ", ".join(f"channel {n} along {line}" for n, line in lines.items())
    sentence = (
        f"The noise of the channels runs along different axes ({words}, from 0): train "
        f"on each channel alone ({Remedy.CHANNEL})."
    )
    return NoiseFacts("unclear", "none", 0, 0, False, sentence, is_alike=True)


def is_shared(correlation: Autocorrelation, axis: Literal["x", "y"]) -> bool:
    """Whether lines along an axis may have a part of their noise in common."""
    return abs(correlation.shared[axis == "y"]) > SHARED


def _alike(correlation: Autocorrelation, axis: Literal["x", "y"]) -> NoiseFacts:
    """Return the facts where structure across an axis may be noise as well."""
    lines = LINES[axis]
    sentence = (
        f"It cannot be told here whether the noise runs along {lines} alone: what two "
        f"neighbouring {lines} share changes along them as the noise does (r = "
        f"{in_numbers(correlation.along(axis))} at 1 to {DECIDING} px). Noise of both "
        "directions looks so after smoothing, registration, rotation or resampling. "
        f"The image as the detector gave it, a dark region ({Remedy.REGION}) or "
        f"repeated frames ({Remedy.FRAMES}) would tell. Until then training without a "
        "noise axis is safe."
    )
    return NoiseFacts("unclear", "none", 0, 0, False, sentence, is_alike=True)


def _threshold(correlation: Autocorrelation) -> float:
    """Return the smallest correlation that counts across the strongest one."""
    return max(MATTERS, SIGNIFICANT * correlation.standard_error)


def _strength(correlation: Autocorrelation) -> dict[str, float]:
    """Return the largest of the deciding correlations of each axis.

    Clear ones at larger lags count, too: a detector of several outputs has them.
    """
    clear = max(CLEAR, FAR_SIGNIFICANT * correlation.standard_error)
    result = {}
    for axis in "xy":
        profile = np.abs(correlation.along(axis)[1:])
        near, far = profile[:DECIDING], profile[DECIDING:]
        result[axis] = float(max([near.max(), *far[far > clear]]))
    return result


def _stronger(strength: Mapping[str, float]) -> Literal["x", "y"]:
    return "x" if strength["x"] >= strength["y"] else "y"


def _grid(correlation: Autocorrelation, threshold: float) -> int:
    """Return the distance at which neither axis is correlated; 1 if there is none."""
    worst = np.maximum(np.abs(correlation.along_x), np.abs(correlation.along_y))
    limit = max(threshold, SLIGHT)
    steps = range(2, min(LARGEST_GRID, correlation.max_lag) + 1)
    return next((step for step in steps if worst[step] < limit), 1)


def _both(correlation: Autocorrelation) -> str:
    """Return the deciding correlations of both axes."""
    return (
        f"along rows r = {in_numbers(correlation.along_x)} at 1 to {DECIDING} px, "
        f"along columns {in_numbers(correlation.along_y)}"
    )


def _independent(correlation: Autocorrelation) -> str:
    return f"The noise is independent from pixel to pixel ({_both(correlation)})."


def facts_of_residual(correlation: Autocorrelation) -> NoiseFacts:
    """Return the facts of a residual, with a sentence on its correlation."""
    facts = facts_of(correlation)
    if facts.axis == "none":
        sentence = "What was removed is independent from pixel to pixel."
        return replace(facts, sentence=sentence)
    profile = correlation.along(facts.axis)
    across = correlation.along("y" if facts.axis == "x" else "x")
    worst = float(deciding(across)[np.abs(deciding(across)).argmax()])
    sentence = (
        f"What was removed runs along {LINES[facts.axis]} (axis {facts.axis}): "
        f"r(1) = {profile[1]:.2f}; across them at most {worst:.2f}"
    )
    if facts.clean:
        return replace(facts, sentence=sentence + ", as noise of one axis does.")
    doubt = ": signal was removed, too, or noise left. Train longer; see the check."
    return replace(facts, pattern="unclear", sentence=sentence + doubt)
