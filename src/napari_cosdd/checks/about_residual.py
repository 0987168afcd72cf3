"""Findings about the residual: whether it is noise, and noise alone."""

import math

import numpy as np
from scipy import ndimage

from napari_cosdd.checks.evidence import Evidence
from napari_cosdd.checks.finding import ACROSS, LAGS, SURE, TOO_SMALL, WORDS, Judgement
from napari_cosdd.checks.measures import LEVELS, Floats, apart, correlation

#: Limit of the residual's mean at a level, in its deviations there.
BIAS = 0.15
#: The same for a point estimate, whose residual is biased, as it sees the estimated
#: pixel.
BIAS_POINT = 0.3
#: Limit of the difference in autocorrelation of the residual and the raw noise.
FROM_RAW = 0.15
#: Limit of the difference in autocorrelation of the residual and the model's noise.
FROM_MODEL = 0.06
#: Limit of the residual's autocorrelation across the noise's rows.
OTHER_ROWS = 0.15
#: The same for a point estimate.
OTHER_ROWS_POINT = 0.2
#: Limit of the residual's correlation with the solution or its details.
STRUCTURE = 0.1
#: The same for a point estimate.
STRUCTURE_POINT = 0.25


def along(e: Evidence) -> Judgement:
    """Compare the residual's autocorrelation with those of raw and redrawn noise.

    Raw noise is compared in the same flat patches, since its correlation depends on the
    brightness; the model's own noise is compared everywhere.
    """
    remedy = "Part of the noise is still in the result: train longer, check the axis."
    if e.axis == "z":
        return None, "the noise runs along z", remedy
    texts, passes = [], []
    pure = e.raw.facts.is_clear and e.raw.facts.clean  # no signal in it
    for direction in {"x": "x", "y": "y", "none": "xy"}[e.axis]:
        ours = e.removed.along(direction)[1 : LAGS + 1]
        texts.append(f"along {WORDS[direction]} {_numbers(ours)}")
        if pure and e.in_flat_patches is not None:
            flat, raw = (f.along(direction)[1 : LAGS + 1] for f in e.in_flat_patches)
            limit = max(FROM_RAW, SURE * e.in_flat_patches[1].standard_error)
            passes.append(apart(flat, raw) < limit)
            texts[-1] += f"; in flat patches {_numbers(flat)}, as seen {_numbers(raw)}"
        if e.drawn is not None:
            drawn = e.drawn.along(direction)[1 : LAGS + 1]
            limit = max(FROM_MODEL, SURE * math.sqrt(2 / e.witnesses()))
            passes.append(apart(ours, drawn) < limit)
            texts[-1] += f"; as the model draws it {_numbers(drawn)}"
    found = f"correlation with pixels 1, 2 and 3 away: {'; '.join(texts)}"
    return all(passes) if passes else None, found, remedy


def across(e: Evidence) -> Judgement:
    """Check that the residual has no autocorrelation across rows."""
    remedy = (
        "Signal was removed, too, or the noise is correlated in both directions: "
        "train longer, check the axis."
    )
    directions = {"x": "y", "y": "x", "none": "xy", "z": "xy"}[e.axis]
    profiles = [e.removed.along(a)[1 : ACROSS + 1] for a in directions]
    limit = OTHER_ROWS_POINT if e.is_point else OTHER_ROWS
    limit = max(limit, SURE / math.sqrt(e.witnesses()))
    worst = max(float(np.abs(p).max()) for p in profiles)
    values = "; ".join(
        f"along {WORDS[a]} {_numbers(p)}"
        for a, p in zip(directions, profiles, strict=True)
    )
    found = f"correlation with pixels 1, 2 and 3 away: {values} (limit {limit:.2f})"
    return worst < limit, found, remedy


def centred(e: Evidence) -> Judgement:
    """Check that the residual has mean zero at every level of the solution."""
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
    found = (
        f"the mean of what was removed is at most {worst:.2f} of its deviation (limit "
        f"{limit:.2f})"
    )
    return worst < limit, found, remedy


def structure(e: Evidence) -> Judgement:
    """Check that the residual does not correlate with the solution or its details."""
    remedy = "Signal was removed, or noise was left: train longer, or on more images."
    s = e.solutions
    details = s - ndimage.gaussian_filter(s, (0, 0, 2, 2))
    whole = correlation(e.residuals, s - s.mean())
    fine = correlation(e.residuals, details)
    limit = STRUCTURE_POINT if e.is_point else STRUCTURE
    limit = max(limit, SURE / math.sqrt(e.witnesses(of_means=True)))
    found = (
        f"it correlates with the result by {whole:.3f}, with its details by {fine:.3f} "
        f"(limit {limit:.2f})"
    )
    return max(abs(whole), abs(fine)) < limit, found, remedy


def _numbers(profile: Floats) -> str:
    return ", ".join(f"{value:.2f}" for value in profile[:3])
