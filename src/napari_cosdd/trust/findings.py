"""What the evidence says: one finding for each thing that must hold.

Limits were chosen where good trainings stay clearly below and the deliberately bad
ones of `tests/trust` lie above; see docs/measurements.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_cosdd.data.trained_on import NoiseSummary
from napari_cosdd.trust.evidence import Evidence
from napari_cosdd.trust.measures import (
    ENOUGH,
    LEVELS,
    Floats,
    apart,
    correlation,
    distance,
    pairs,
)

#: Lags that profiles are compared at, along the noise and across it.
LAGS, ACROSS = 6, 3
#: Mean of the residual at a level, in deviations of the residual at that level; of a
#: point estimate's, which sees the pixel that it estimates.
BIAS, BIAS_POINT = 0.15, 0.3
#: Differences of autocorrelations: from the raw noise, from the model's own noise.
FROM_RAW, FROM_MODEL = 0.15, 0.06
#: Autocorrelation of the residual across the noise's rows; of a point estimate's.
OTHER_ROWS, OTHER_ROWS_POINT = 0.15, 0.2
#: Correlation of the residual with the solution or its details; of a point estimate's.
STRUCTURE, STRUCTURE_POINT = 0.1, 0.25
#: Largest distance between distributions of real and redrawn noise.
SHAPE = 0.03
#: Ratio of deviations of real and redrawn noise at a level, and of two cameras.
STRENGTH, CAMERA = 1.15, 1.5
#: Difference of the raw noise's autocorrelation from that of the training images.
CAMERA_CORRELATION = 0.25
#: Fewer steps are none; fall of the loss, nats, in the last quarter of a training.
STEPS, FALLING = 200, 0.03
#: Least share of a clean image in the 95 % interval of the samples.
COVERED = 0.85
#: Standard errors that a limit is away at least.
SURE = 4
#: What is said where it cannot be told.
TOO_SMALL, NO_NOISE = "too few pixels to tell", "this method draws no noise"
WORDS = {"x": "rows", "y": "columns", "none": "no direction", "z": "planes"}

#: Whether it holds (None: it cannot be told), what was measured, what to do if not.
Judgement = tuple[bool | None, str, str]


@dataclass(frozen=True)
class Finding:
    """One thing that must hold for a result to be right.

    Attributes
    ----------
    name : str
        Short, the same for ever.
    title : str
        What must hold, in plain words.
    passed : bool or None
        None: it cannot be told for this method or image.
    found : str
        What was measured.
    remedy : str
        What to do if it does not hold.
    """

    name: str
    title: str
    passed: bool | None
    found: str
    remedy: str

    @property
    def heading(self) -> str:
        """Sign and title; what does not hold says so, not by its sign alone."""
        sign = {True: "✓", False: "!", None: "–"}[self.passed]
        return f"{sign} {self.title}{': no' if self.passed is False else ''}"

    @property
    def text(self) -> str:
        """What was measured, and what to do if it does not hold."""
        return f"{self.found}. {self.remedy}" if self.passed is False else self.found


def all_findings(e: Evidence) -> list[Finding]:
    """Judge everything; what explains other failures comes first."""
    judges = JUDGES if e.reference is None else (*JUDGES, WITH_REFERENCE)
    return [Finding(name, title, *judge(e)) for name, judge, title in judges]


def likeness(e: Evidence) -> Judgement:
    """Compare levels and noise of the image with those of the training images."""
    remedy = "Other camera, gain or exposure: train a model on this image."
    if not e.trained_on.levels_1_50_99:
        return None, "not recorded", remedy
    found = [*e.unlike, *_other_camera(e)]
    return not found, "; ".join(found) or "brightness and noise agree", remedy


def _other_camera(e: Evidence) -> list[str]:
    """Say in what the raw noise differs from that of the training images."""
    then = e.trained_on.noise
    if then is None:
        return []
    found = []
    ratio = _ratio(e.raw.dependence.signal, e.raw.dependence.variance, then)
    if not 1 / CAMERA < ratio < CAMERA:
        found.append(
            f"at equal brightness its noise is {ratio:.2g} times as strong as theirs"
        )
    powers = e.raw.correlation.variance, then.power
    for axis, theirs in (("x", then.along_x), ("y", then.along_y)):
        now, before = e.raw.correlation.along(axis)[1:], np.array(theirs)
        if _differ(now, before, powers):
            found.append(
                f"its noise correlates along {WORDS[axis]} by {now[0]:.2f}, theirs by "
                f"{before[0]:.2f}"
            )
    return found


def _differ(now: Floats, before: Floats, powers: tuple[float, float | None]) -> bool:
    """Whether neither correlations nor, where known, covariances are alike.

    Where patches are brighter, shot noise dilutes the correlation of a detector's
    rows and leaves their covariance.
    """
    differences = [apart(now, before)]
    ours, theirs = powers
    if theirs is not None:
        covariances = apart(now * ours, before * theirs)
        differences.append(covariances / max(ours, theirs))
    return min(differences) > CAMERA_CORRELATION


def _ratio(signal: Floats, variance: Floats, then: NoiseSummary) -> float:
    """Return the ratio of deviations where both curves have the same levels."""
    x, v = np.array(then.signal), np.array(then.variance)
    if len(x) < 2 or len(signal) < 2:
        return 1.0
    expected = np.interp(signal, x, v)
    both = (signal >= x[0]) & (signal <= x[-1]) & (variance > 0) & (expected > 0)
    if not both.any():
        return 1.0
    return float(np.sqrt(np.median(variance[both] / expected[both])))


def axis(e: Evidence) -> Judgement:
    """Compare the model's noise axis with that of the raw noise."""
    advice = e.raw.advice
    remedy = f"Train again with noise axis {advice.axis}."
    if e.axis == "z" or not advice.fits:
        why = "along z" if e.axis == "z" else "not clear from the image alone"
        return None, why, remedy
    first = e.raw.correlation.along("y" if advice.axis == "y" else "x")[1]
    found = f"image: {WORDS[advice.axis]} (r(1) = {first:.2f}); model: {WORDS[e.axis]}"
    return advice.axis in (e.axis, "none"), found, remedy


def training(e: Evidence) -> Judgement:
    """Look whether training was long enough for the loss to settle."""
    remedy = "Train longer."
    steps = [s for s in e.history.get("step", []) if s is not None]
    if not steps:
        return None, "not recorded", remedy
    losses = e.history.get("loss", [])
    known = [(s, v) for s, v in zip(steps, losses, strict=False) if v is not None]
    fall = 0.0
    if len(known) > 3:
        s, v = np.array(known).T
        fall = float(np.interp(0.75 * s[-1], s, v) - v[-1])
    found = f"{steps[-1]:.0f} steps; the loss fell by {fall:.3f} in the last quarter"
    return steps[-1] >= STEPS and fall < FALLING, found, remedy


def reach(e: Evidence) -> Judgement:
    """Compare the receptive field with how far the raw noise is correlated."""
    advice = e.raw.advice
    remedy = (
        f"Train again with a receptive field of {advice.receptive_field} px (of "
        "Noise2Void: the mask's half length)."
    )
    if e.axis in ("z", "none") or advice.axis != e.axis:
        return None, "no correlation to be reached", remedy
    found = f"the noise is seen {advice.reach} px away, the model looks {e.reach} px"
    if e.unexpected is not None:
        rest = e.unexpected.along(e.axis)[1 : LAGS + 1]
        worst = rest[np.abs(rest).argmax()]
        found += f"; what it does not expect correlates by {worst:.2f}"
    return e.reach >= advice.reach, found, remedy


def latents(e: Evidence) -> Judgement:
    """Look for posterior collapse."""
    remedy = "The posterior has collapsed: train again with another seed, or longer."
    if not e.kl:
        return None, "no latents", remedy
    kl = ", ".join(f"{value:.3f}" for value in e.kl)
    found = (
        f"they explain {e.losses['explained']:.2f} of a signal power of "
        f"{e.losses['explainable']:.2f}; KL {kl} nats per pixel, lowest level first"
    )
    return not e.collapsed, found, remedy


def shape(e: Evidence) -> Judgement:
    """Compare distributions of real and redrawn noise: of pixels and of pairs."""
    remedy = "Train again with more Gaussians."
    if not e.draws_noise:
        return None, NO_NOISE, remedy
    real, drawn = e.residuals[: len(e.redrawn)], e.model_noise
    distances = {"pixels": distance(real, drawn)}
    rows = -2 if e.axis == "y" else -1
    for lag in range(1, LAGS + 1):
        ours, theirs = pairs(real, lag, rows), pairs(drawn, lag, rows)
        distances[f"differences {lag} px apart"] = distance(ours[0], theirs[0])
        distances[f"sums {lag} px apart"] = distance(ours[1], theirs[1])
    worst = max(distances, key=lambda key: distances[key])
    limit = max(SHAPE, 3 / math.sqrt(e.witnesses()))
    found = f"distributions differ by at most {100 * distances[worst]:.1f} % ({worst})"
    return distances[worst] < limit, found, remedy


def strength(e: Evidence) -> Judgement:
    """Compare deviations of real and redrawn noise at each level of the signal."""
    remedy = "Train longer; if that does not help, with more Gaussians."
    if not e.draws_noise:
        return None, NO_NOISE, remedy
    n = len(e.redrawn)
    levels = e.levels[:n]
    ratios = [
        float(e.residuals[:n][levels == i].std() / e.model_noise[levels == i].std())
        for i in range(LEVELS)
        if (levels == i).sum() >= ENOUGH * n
    ]
    if not ratios:
        return None, TOO_SMALL, remedy
    low, high = min(ratios), max(ratios)
    limit = max(STRENGTH, 1 + SURE * math.sqrt(LEVELS / e.witnesses()))
    found = f"real noise is {low:.2f} to {high:.2f} times as strong"
    return 1 / limit < low and high < limit, found, remedy


def along(e: Evidence) -> Judgement:
    """Compare the residual's autocorrelation with the raw and the redrawn noise's.

    With the raw noise's in flat patches, for the correlation depends on the
    brightness; with that of the model's own noise everywhere.
    """
    remedy = "Part of the noise is still in the result: train longer, check the axis."
    if e.axis == "z":
        return None, "the noise runs along z", remedy
    found, held = [], []
    pure = e.raw.advice.fits and e.raw.advice.clean  # else there is signal in it
    for direction in {"x": "x", "y": "y", "none": "xy"}[e.axis]:
        ours = e.removed.along(direction)[1 : LAGS + 1]
        found.append(f"{WORDS[direction]}: {_numbers(ours)}")
        if pure and e.in_flat_patches is not None:
            flat, raw = (f.along(direction)[1 : LAGS + 1] for f in e.in_flat_patches)
            limit = max(FROM_RAW, SURE * e.in_flat_patches[1].standard_error)
            held.append(apart(flat, raw) < limit)
            found[-1] += f" (flat patches: {_numbers(flat)}, raw {_numbers(raw)})"
        if e.drawn is not None:
            drawn = e.drawn.along(direction)[1 : LAGS + 1]
            limit = max(FROM_MODEL, SURE * math.sqrt(2 / e.witnesses()))
            held.append(apart(ours, drawn) < limit)
            found[-1] += f", redrawn {_numbers(drawn)}"
    return all(held) if held else None, "; ".join(found), remedy


def across(e: Evidence) -> Judgement:
    """Look whether the residual's autocorrelation stops at other rows."""
    remedy = (
        "Signal was removed, too, or the noise is correlated in both directions: "
        "train longer, check the axis."
    )
    directions = {"x": "y", "y": "x", "none": "xy", "z": "xy"}[e.axis]
    profiles = [e.removed.along(a)[1 : ACROSS + 1] for a in directions]
    limit = OTHER_ROWS_POINT if e.is_point else OTHER_ROWS
    limit = max(limit, SURE / math.sqrt(e.witnesses()))
    worst = max(float(np.abs(p).max()) for p in profiles)
    return worst < limit, "; ".join(_numbers(p) for p in profiles), remedy


def centred(e: Evidence) -> Judgement:
    """Look whether the residual is zero on average at every level of the solution."""
    remedy = (
        "The result is too dark or too bright at some levels: do not measure "
        "intensities there; training longer may help."
    )
    _, biases = e.biases
    if not biases:
        return None, TOO_SMALL, remedy
    worst = max(map(abs, biases))
    limit = BIAS_POINT if e.is_point else BIAS
    limit = max(limit, SURE * math.sqrt(LEVELS / e.witnesses(of_means=True)))
    found = f"the mean of what was removed is at most {worst:.2f} of its deviation"
    return worst < limit, found, remedy


def structure(e: Evidence) -> Judgement:
    """Look for traces of the solution and of its details in what was removed."""
    remedy = "Signal was removed, or noise was left: train longer, or on more images."
    s = e.solutions
    details = s - ndimage.gaussian_filter(s, (0, 0, 2, 2))
    whole = correlation(e.residuals, s - s.mean())
    fine = correlation(e.residuals, details)
    limit = STRUCTURE_POINT if e.is_point else STRUCTURE
    limit = max(limit, SURE / math.sqrt(e.witnesses(of_means=True)))
    found = (
        f"it correlates with the result by {whole:.3f}, with its details by {fine:.3f}"
    )
    return max(abs(whole), abs(fine)) < limit, found, remedy


def covered(e: Evidence) -> Judgement:
    """Look whether a clean image lies within the samples as often as it should."""
    remedy = (
        "The clean image shows another scene or has other grey levels, or the samples "
        "are too sure: do not take the deviation for the error."
    )
    if e.coverage is None:
        return None, "there are no samples", remedy
    share = e.coverage.at(0.95)
    found = f"{100 * share:.0f} % of it lie in the samples' 95 % interval"
    return share > COVERED, found, remedy


def _numbers(profile: Floats) -> str:
    return " ".join(f"{value:.2f}" for value in profile[:3])


#: Name, what judges it, title.
Row = tuple[str, Callable[[Evidence], Judgement], str]
#: In this order: what explains other failures comes first.
JUDGES: tuple[Row, ...] = (
    ("likeness", likeness, "The image is like the training images"),
    ("axis", axis, "The model's noise runs as the image's does"),
    ("training", training, "It was trained long enough"),
    ("reach", reach, "The receptive field is long enough"),
    ("latents", latents, "The latents carry the signal"),
    ("across", across, "What was removed stops at other rows"),
    ("structure", structure, "What was removed holds no structure of the image"),
    ("centred", centred, "Brightness is kept at every level"),
    ("along", along, "What was removed is correlated as the noise"),
    ("shape", shape, "Redrawn noise is shaped like the real noise"),
    ("strength", strength, "Redrawn noise is as strong at every brightness"),
)
#: Where there is a clean image.
WITH_REFERENCE: Row = (
    "covered",
    covered,
    "The clean image lies within the samples",
)
