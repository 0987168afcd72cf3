"""From the autocorrelation to advice: which axis, how far, or that it does not fit."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.images.axes import NoiseAxis
from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation

#: Correlations below this do not matter, however significant they are.
MATTERS = 0.05
#: Standard errors above which a value is significant.
SIGNIFICANT = 4.0
#: If the weaker axis has more than this share of the stronger, both are correlated.
BOTH = 0.5
#: Correlations that must not be overlooked; where they would be, nothing is said.
UNTOLD = 0.3
SHORTEST, LONGEST, USUAL = 5, 120, 40


@dataclass(frozen=True)
class Advice:
    """What to do about the noise, and the numbers it rests on.

    Attributes
    ----------
    axis : {"x", "y", "none"}
        Along which to train; of both, the stronger.
    receptive_field : int
        Pixels that the autoregressive decoder should see; 0 for none.
    fits : bool
        False if the noise is correlated in both directions, or cannot be told.
    sentence : str
        The same in plain words.
    reach : int
        Largest lag that is significant along the axis.
    clean : bool
        Whether the other axis shows nothing: else there may be signal in it.
    """

    axis: NoiseAxis
    receptive_field: int
    fits: bool
    sentence: str
    reach: int
    clean: bool


def advise(correlation: Autocorrelation) -> Advice:
    """Say which noise axis and receptive field fit."""
    threshold = max(MATTERS, SIGNIFICANT * correlation.standard_error)
    profiles = {"x": correlation.along_x, "y": correlation.along_y}
    strength = {a: float(np.abs(p[1:6]).max()) for a, p in profiles.items()}
    strong, weak = sorted(strength, key=lambda a: -strength[a])
    if strength[strong] < threshold:
        told = threshold < UNTOLD
        sentence = _none(correlation) if told else _untold(correlation)
        return Advice("none", 0, told, sentence, 0, True)
    profile = profiles[strong]
    reach = _reach(profile, threshold)
    field = int(np.clip(2 * reach + 3, SHORTEST, USUAL if reach < 20 else LONGEST))
    both = strength[weak] > max(threshold, BOTH * strength[strong])
    axis: NoiseAxis = "x" if strong == "x" else "y"
    words = {"x": ("rows", "columns"), "y": ("columns", "rows")}[strong]
    across = profiles[weak]
    far = "at least " if reach == correlation.max_lag else ""
    if both:
        sentence = (
            f"The noise is correlated in both directions ({words[0]}: "
            f"r(1) = {profile[1]:.2f}, {words[1]}: {across[1]:.2f}): this method "
            "assumes one and does not fit. Look for signal, flicker or compression "
            "in the region measured, or measure a dark image."
        )
    else:
        sentence = (
            f"The noise runs along {words[0]} (axis {axis}): r(1) = {profile[1]:.2f}, "
            f"still visible {far}{reach} px away; across them {across[1]:.2f}. "
            f"COSDD fits: axis {axis}, receptive field {field} px."
        )
    clean = strength[weak] < threshold and strength[strong] < 1
    return Advice(axis, field, not both, sentence, reach, clean)


def _reach(profile: NDArray[np.float64], threshold: float) -> int:
    """Return the last lag before the profile stays below the threshold."""
    above = np.flatnonzero(np.abs(profile) >= threshold)
    gaps = np.flatnonzero(np.diff(above) > 3)
    return int(above[gaps[0]] if len(gaps) else above[-1])


def _none(correlation: Autocorrelation) -> str:
    x, y = correlation.along_x[1], correlation.along_y[1]
    return (
        "The noise is independent from pixel to pixel (neighbours in a row: "
        f"{x:.2f}, in a column: {y:.2f}). Train without a noise axis; Noise2Void "
        "with point masks fits, too."
    )


def _untold(correlation: Autocorrelation) -> str:
    x, y = correlation.along_x[1], correlation.along_y[1]
    return (
        "Too few pixels show noise alone to tell whether it is correlated (neighbours "
        f"in a row: {x:.2f}, in a column: {y:.2f}, each ± "
        f"{correlation.standard_error:.2f}). Draw a region without structure, use "
        "repeated frames or a larger image, or choose the noise axis yourself."
    )


def of_residual(correlation: Autocorrelation) -> Advice:
    """Say what a residual looks like: noise along one axis and nothing across it."""
    advice = advise(correlation)
    if advice.axis == "none":
        sentence = "What was removed is independent from pixel to pixel."
        return replace(advice, sentence=sentence)
    along, across = correlation.along_x, correlation.along_y
    words = ("rows", "columns")
    if advice.axis == "y":
        along, across, words = across, along, words[::-1]
    worst = float(across[1:6][np.abs(across[1:6]).argmax()])
    sentence = (
        f"What was removed runs along {words[0]} (axis {advice.axis}): r(1) = "
        f"{along[1]:.2f}; across them at most {worst:.2f}"
    )
    if advice.clean:
        return replace(advice, sentence=sentence + ", as noise of one axis does.")
    doubt = ": signal was removed, too, or noise left. Train longer; see the check."
    return replace(advice, sentence=sentence + doubt, fits=False)
