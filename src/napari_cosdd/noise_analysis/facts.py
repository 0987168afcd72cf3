"""Facts from the autocorrelation: the axis and the reach of correlated noise.

No method is named here; `methods.advice` asks each whether it suits these facts.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation

#: Smallest correlation that counts, even if smaller ones are significant.
MATTERS = 0.05
#: Number of standard errors above which a correlation is significant.
SIGNIFICANT = 4.0
#: Ratio of the weaker to the stronger axis above which both count as correlated.
BOTH = 0.5
#: Correlation that the measurement must be able to detect; if its error is too large
#: for that, the noise is called unclear.
OVERLOOKED = 0.3
#: Bounds of the receptive field, pixels; its upper bound is `USUAL` if the noise
#: reaches less than `FAR` pixels, else `LONGEST`.
SHORTEST, LONGEST, USUAL, FAR = 5, 120, 40, 20

Pattern = Literal["one axis", "independent", "both axes", "unclear"]
#: Name of the lines along an axis, and of the lines across them.
LINES = {"x": ("rows", "columns"), "y": ("columns", "rows")}


@dataclass(frozen=True)
class NoiseFacts:
    """How the noise of an image is correlated.

    Attributes
    ----------
    pattern : {"one axis", "independent", "both axes", "unclear"}
        Directions in which the noise is correlated; "unclear" if too few pixels show
        noise alone.
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
    """

    pattern: Pattern
    axis: Literal["x", "y", "none"]
    reach: int
    receptive_field: int
    clean: bool
    sentence: str

    @property
    def is_clear(self) -> bool:
        """Whether the noise runs along one axis, or is independent."""
        return self.pattern in ("one axis", "independent")

    @property
    def fits(self) -> bool:
        """Former name of `is_clear`."""
        return self.is_clear


def facts_of(correlation: Autocorrelation) -> NoiseFacts:
    """Return the axis and the reach of noise with this autocorrelation."""
    threshold = max(MATTERS, SIGNIFICANT * correlation.standard_error)
    profiles = {"x": correlation.along_x, "y": correlation.along_y}
    strength = {a: float(np.abs(p[1:6]).max()) for a, p in profiles.items()}
    axis: Literal["x", "y"] = "x" if strength["x"] >= strength["y"] else "y"
    weak = "y" if axis == "x" else "x"
    if strength[axis] < threshold:
        if threshold < OVERLOOKED:
            sentence = _independent(correlation)
            return NoiseFacts("independent", "none", 0, 0, True, sentence)
        return NoiseFacts("unclear", "none", 0, 0, True, _unclear(correlation))
    profile, across = profiles[axis], profiles[weak]
    reach = _reach(profile, threshold)
    field = int(np.clip(2 * reach + 3, SHORTEST, USUAL if reach < FAR else LONGEST))
    along, other = LINES[axis]
    clean = strength[weak] < threshold and strength[axis] < 1
    if strength[weak] > max(threshold, BOTH * strength[axis]):
        sentence = (
            f"The noise is correlated in both directions ({along}: "
            f"r(1) = {profile[1]:.2f}, {other}: {across[1]:.2f}). Look for signal, "
            "flicker or compression in the region measured, or measure a dark image."
        )
        return NoiseFacts("both axes", axis, reach, field, clean, sentence)
    far = "at least " if reach == correlation.max_lag else ""
    sentence = (
        f"The noise runs along {along} (axis {axis}): r(1) = {profile[1]:.2f}, "
        f"still visible {far}{reach} px away; across them {across[1]:.2f}."
    )
    return NoiseFacts("one axis", axis, reach, field, clean, sentence)


def _reach(profile: NDArray[np.float64], threshold: float) -> int:
    """Return the lag after which the profile stays below the threshold."""
    above = np.flatnonzero(np.abs(profile) >= threshold)
    gaps = np.flatnonzero(np.diff(above) > 3)
    return int(above[gaps[0]] if len(gaps) else above[-1])


def _independent(correlation: Autocorrelation) -> str:
    x, y = correlation.along_x[1], correlation.along_y[1]
    return (
        "The noise is independent from pixel to pixel (neighbours in a row: "
        f"{x:.2f}, in a column: {y:.2f})."
    )


def _unclear(correlation: Autocorrelation) -> str:
    x, y = correlation.along_x[1], correlation.along_y[1]
    return (
        "Too few pixels show noise alone to tell whether it is correlated (neighbours "
        f"in a row: {x:.2f}, in a column: {y:.2f}, each ± "
        f"{correlation.standard_error:.2f}). Draw a region without structure, use "
        "repeated frames or a larger image, or choose the noise axis yourself."
    )


def facts_of_residual(correlation: Autocorrelation) -> NoiseFacts:
    """Return the facts of a residual, with a sentence on its correlation."""
    facts = facts_of(correlation)
    if facts.axis == "none":
        sentence = "What was removed is independent from pixel to pixel."
        return replace(facts, sentence=sentence)
    profile = correlation.along(facts.axis)
    across = correlation.along("y" if facts.axis == "x" else "x")
    worst = float(across[1:6][np.abs(across[1:6]).argmax()])
    sentence = (
        f"What was removed runs along {LINES[facts.axis][0]} (axis {facts.axis}): "
        f"r(1) = {profile[1]:.2f}; across them at most {worst:.2f}"
    )
    if facts.clean:
        return replace(facts, sentence=sentence + ", as noise of one axis does.")
    doubt = ": signal was removed, too, or noise left. Train longer; see the check."
    return replace(facts, pattern="unclear", sentence=sentence + doubt)
