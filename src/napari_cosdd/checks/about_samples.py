"""Findings about redrawn noise and samples."""

import math

from napari_cosdd.checks.evidence import Evidence
from napari_cosdd.checks.finding import LAGS, NO_NOISE, SURE, TOO_SMALL, Judgement
from napari_cosdd.checks.measures import ENOUGH, LEVELS, distance, pairs

#: Largest distance between distributions of real and redrawn noise.
SHAPE = 0.03
#: Largest ratio of deviations of real and redrawn noise at a level.
STRENGTH = 1.15
#: Smallest share of a clean image within the samples' 95 % interval.
COVERED = 0.85


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
    found = (
        f"distributions differ by at most {100 * distances[worst]:.1f} % ({worst}; "
        f"limit {100 * limit:.1f} %)"
    )
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
    found = (
        f"real noise is {low:.2f} to {high:.2f} times as strong ({1 / limit:.2f} to "
        f"{limit:.2f} is right)"
    )
    return 1 / limit < low and high < limit, found, remedy


def covered(e: Evidence) -> Judgement:
    """Check that a clean image lies within the samples as often as expected."""
    remedy = (
        "The clean image shows another scene or has other grey levels, or the samples "
        "are too sure: do not take the deviation for the error."
    )
    if e.coverage is None:
        return None, "there are no samples", remedy
    share = e.coverage.at(0.95)
    found = f"{100 * share:.0f} % of it lie in the samples' 95 % interval"
    return share > COVERED, found, remedy
