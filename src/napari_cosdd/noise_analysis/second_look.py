"""Facts from the residual of a first denoising, where structure hides the noise.

On an image without a flat place, structure and noise are correlated along both axes and
cannot be told apart. A trained denoiser takes most of the structure away. What it takes
with the noise, and leaves of it, it takes along both axes alike if the image is
processed upright and turned by a right angle, and both residuals are averaged. So the
axes of the averaged residual differ only if those of the noise do.
"""

from dataclasses import replace
from typing import Literal

from napari_cosdd.noise_analysis.autocorrelation import Autocorrelation
from napari_cosdd.noise_analysis.facts import (
    LINES,
    MATTERS,
    NoiseFacts,
    is_shared,
    unclear,
)
from napari_cosdd.noise_analysis.profiles import (
    DECIDING,
    in_numbers,
    is_slight,
    reach_of,
    receptive_field,
)

#: Inflation of the standard error above which flat patches hold so much signal that a
#: second look is taken; it is 1.7 where there is none.
STRUCTURED = 2.0
#: Difference between the correlations of the axes at 1 px up to which noise has no
#: axis. On 297 trials (`python -m benchmarks advice`) it was 0.05 at most without an
#: axis, unless both were strongly correlated.
EQUAL = 0.05
#: The same from which noise has an axis; it was 0.076 at least with one (r = 0.12).
DIFFERENT = 0.07
#: Correlation of the weaker axis at 1 px above which both may be correlated; with one
#: axis it was below 0.03.
WEAKER = 0.05
#: Mean of both axes at 1 px up to which noise is independent; it was -0.19 to 0 there.
INDEPENDENT = 0.02
#: Distance of the mean from zero at 2 px up to which noise is independent; it was -0.04
#: to 0 there.
INDEPENDENT_FAR = 0.06
#: Mean at 2 px below which noise is correlated along both axes: smoothed noise had
#: -0.07 and less, unless its mean at 1 px was high.
SMOOTHED = -0.07
#: Difference at 2 px that slightly contradicts the one at 1 px, as a negative
#: correlation r along the other axis does, which is r² at 2 px: smallest value, and
#: factor on r².
SLIGHT_FAR = (0.01, 0.25)
#: The same that clearly contradicts it.
CLEAR_FAR = (0.03, 0.5)
#: Largest correlation at 2 px that a negative one r at 1 px has, relative to r². In
#: compressed images it is larger.
ALTERNATING = 3.0
Found = Literal["x", "y", "independent", "both axes", "unclear"]
Axis = Literal["x", "y", "none"]
TELLS = "Structure hides the noise here, but a first denoising tells it apart"


def averaged(upright: Autocorrelation, turned: Autocorrelation) -> Autocorrelation:
    """Return the mean of the autocorrelations of the two residuals.

    Parameters
    ----------
    upright, turned : Autocorrelation
        Of the residuals of the image, and of the image that was processed turned and
        turned back; both have equal lags.
    """
    return replace(
        upright,
        values=(upright.values + turned.values) / 2,
        variance=(upright.variance + turned.variance) / 2,
    )


def wants_second_look(first: NoiseFacts, correlation: Autocorrelation) -> bool:
    """Whether facts from flat patches are open, or from patches with much signal.

    Not if structure has the shape of the noise: a first denoising cannot tell either.
    """
    if first.is_alike:
        return False
    return not first.is_clear or correlation.inflation > STRUCTURED


def facts_of_second_look(
    first: NoiseFacts, correlation: Autocorrelation, residual: Autocorrelation
) -> NoiseFacts:
    """Return what the residual tells, or the first facts if it tells nothing else.

    Facts that were clear at first are not replaced by others: if the residual clearly
    contradicts them, the noise is unclear.

    Parameters
    ----------
    first : NoiseFacts
        From the image alone.
    correlation : Autocorrelation
        Of the image's flat patches, which `first` is from.
    residual : Autocorrelation
        From `averaged`.
    """
    found = _pattern(residual)
    if found == "both axes" or found == "unclear":
        return first  # structure that is left in a residual shows along both axes, too
    axis: Axis = "none" if found == "independent" else found
    if first.is_clear:
        at_odds = axis != first.axis and not (first.weak and axis == "none")
        return unclear(correlation) if at_odds else first
    if axis != "none":  # unless structure across has the shape of the noise along it
        return first if is_shared(correlation, axis) else _one_axis(residual, axis)
    if first.pattern == "both axes":
        return first
    sentence = f"{TELLS}: it is independent from pixel to pixel."
    return NoiseFacts("independent", "none", 0, 0, False, sentence)


def _pattern(residual: Autocorrelation) -> Found:
    """Return "x", "y", "independent", "both axes" or "unclear"."""
    x, y = residual.along_x, residual.along_y
    near, far = float(x[1] - y[1]), float(x[2] - y[2])
    mean_near, mean_far = float(x[1] + y[1]) / 2, float(x[2] + y[2]) / 2
    weaker, stronger = sorted((float(x[1]), float(y[1])))
    if abs(near) < EQUAL:
        if abs(mean_far) < INDEPENDENT_FAR and mean_near < INDEPENDENT:
            return "independent"
        smoothed = mean_near > INDEPENDENT or mean_far < SMOOTHED
        return "both axes" if smoothed else "unclear"
    if weaker > WEAKER and weaker > stronger / 2:
        return "both axes"
    if abs(near) < DIFFERENT or weaker > WEAKER or mean_far < SMOOTHED:
        return "unclear"
    axis: Literal["x", "y"] = "x" if near > 0 else "y"
    other: Literal["x", "y"] = "y" if near > 0 else "x"
    agrees = far if near > 0 else -far
    if agrees > -max(SLIGHT_FAR[0], SLIGHT_FAR[1] * near**2):
        return axis
    clearly = max(CLEAR_FAR[0], CLEAR_FAR[1] * near**2)
    if agrees < -clearly and 0 < residual.along(other)[2] < ALTERNATING * near**2:
        return other
    return "unclear"


def _one_axis(residual: Autocorrelation, axis: Literal["x", "y"]) -> NoiseFacts:
    """Return the facts of noise along an axis; the other shows what to subtract."""
    across = "y" if axis == "x" else "x"
    profile = residual.along(axis) - residual.along(across)
    reach = reach_of(profile, MATTERS)
    sentence = (
        f"{TELLS}: it runs along {LINES[axis]} (axis {axis}), still visible {reach} px "
        f"away (what was removed: r = {in_numbers(residual.along(axis))} at 1 to "
        f"{DECIDING} px along them, {in_numbers(residual.along(across))} across)."
    )
    field = receptive_field(reach)
    slight = is_slight(profile)
    return NoiseFacts("one axis", axis, reach, field, False, sentence, slight)
