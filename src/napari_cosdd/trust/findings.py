"""What the evidence says: one finding for each thing that must hold.

Limits were chosen where good trainings stay clearly below and the deliberately bad
ones of `tests/trust` lie above; see docs/measurements.md.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import ndtri
from scipy.stats import ks_2samp

from napari_cosdd.noise.autocorrelation import Autocorrelation, autocorrelation
from napari_cosdd.trust.evidence import Evidence, Floats

#: Lags that profiles are compared at, and levels of the signal; pixels of a level.
LAGS, ACROSS, LEVELS, ENOUGH = 6, 3, 12, 200
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
#: Values that a distribution is taken from, at most.
THINNED = 200_000
#: Standard errors that a limit is away at least; what is said where pixels are few.
SURE, TOO_SMALL = 4, "too few pixels to tell"
WORDS = {"x": "rows", "y": "columns", "none": "no direction", "z": "planes"}


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


def all_findings(e: Evidence) -> list[Finding]:
    """Judge everything; what explains other failures comes first."""
    judges = (
        likeness,
        axis,
        training,
        reach,
        latents,
        shape,
        strength,
        along,
        across,
        centred,
        structure,
    )
    return [judge(e) for judge in judges]


def likeness(e: Evidence) -> Finding:
    """Compare levels and noise of the image with those of the training images."""
    found = [*e.unlike, *_other_camera(e)]
    known = bool(e.trained_on.get("levels_1_50_99"))
    return Finding(
        "likeness",
        "The image is like the training images",
        not found if known else None,
        "; ".join(found) or ("brightness and noise agree" if known else "not recorded"),
        "Other camera, gain or exposure: train a model on this image.",
    )


def _other_camera(e: Evidence) -> list[str]:
    """Say in what the raw noise differs from that of the training images."""
    then = e.trained_on.get("noise")
    if not then:
        return []
    found = []
    ratio = _ratio(e.raw.dependence.signal, e.raw.dependence.variance, then)
    if not 1 / CAMERA < ratio < CAMERA:
        found.append(
            f"at equal brightness its noise is {ratio:.2g} times as strong as theirs"
        )
    now = e.raw.correlation
    for words, profile, key in (
        ("rows", now.along_x, "along_x"),
        ("columns", now.along_y, "along_y"),
    ):
        before = np.array(then[key])
        n = min(len(before), len(profile) - 1)
        if np.abs(profile[1 : n + 1] - before[:n]).max() > CAMERA_CORRELATION:
            found.append(
                f"its noise correlates along {words} by {profile[1]:.2f}, theirs by "
                f"{before[0]:.2f}"
            )
    return found


def _ratio(signal: Floats, variance: Floats, then: dict[str, list[float]]) -> float:
    """Return the ratio of deviations where both curves have the same levels."""
    x, v = np.array(then["signal"]), np.array(then["variance"])
    if len(x) < 2 or len(signal) < 2:
        return 1.0
    common = (signal >= x[0]) & (signal <= x[-1]) & (variance > 0)
    expected = np.interp(signal[common], x, v)
    if not common.any() or not (expected > 0).any():
        return 1.0
    both = expected > 0
    return float(np.sqrt(np.median(variance[common][both] / expected[both])))


def axis(e: Evidence) -> Finding:
    """Compare the model's noise axis with that of the raw noise."""
    advice = e.raw.advice
    seen = WORDS[advice.axis]
    name, title = "axis", "The model's noise runs as the image's does"
    remedy = f"Train again with noise axis {advice.axis}."
    if e.axis == "z" or not advice.fits:
        why = "along z" if e.axis == "z" else "not clear from the image alone"
        return Finding(name, title, None, why, remedy)
    passed = advice.axis in (e.axis, "none")
    profile = e.raw.correlation.along_y if advice.axis == "y" else None
    first = (e.raw.correlation.along_x if profile is None else profile)[1]
    found = f"image: {seen} (r(1) = {first:.2f}); model: {WORDS[e.axis]}"
    return Finding(name, title, passed, found, remedy)


def training(e: Evidence) -> Finding:
    """Look whether training was long enough for the loss to settle."""
    steps = [s for s in e.history.get("step", []) if s is not None]
    losses = e.history.get("loss", [])
    name, title = "training", "It was trained long enough"
    remedy = "Train longer."
    if not steps:
        return Finding(name, title, None, "not recorded", remedy)
    pairs = [(s, v) for s, v in zip(steps, losses, strict=False) if v is not None]
    fall = 0.0
    if len(pairs) > 3:
        s, v = np.array(pairs).T
        fall = float(np.interp(0.75 * s[-1], s, v) - v[-1])
    short = steps[-1] < STEPS
    found = f"{steps[-1]:.0f} steps; the loss fell by {fall:.3f} in the last quarter"
    return Finding(name, title, not short and fall < FALLING, found, remedy)


def reach(e: Evidence) -> Finding:
    """Compare the receptive field with how far the raw noise is correlated."""
    advice = e.raw.advice
    name, title = "reach", "The receptive field is long enough"
    remedy = f"Train again with a receptive field of {advice.receptive_field} px."
    if e.axis in ("z", "none") or advice.axis != e.axis:
        return Finding(name, title, None, "no correlation to be reached", remedy)
    found = f"the noise is seen {advice.reach} px away, the model looks {e.reach} px"
    if e.quantiles.size:
        rest = _profile(innovations(e), e.axis)[1 : LAGS + 1]
        worst = rest[np.abs(rest).argmax()]
        found += f"; what it does not expect correlates by {worst:.2f}"
    return Finding(name, title, e.reach >= advice.reach, found, remedy)


def latents(e: Evidence) -> Finding:
    """Look for posterior collapse."""
    name, title = "latents", "The latents carry the signal"
    remedy = "The posterior has collapsed: train again with another seed, or longer."
    if not e.kl:
        return Finding(name, title, None, "no latents", remedy)
    kl = ", ".join(f"{value:.3f}" for value in e.kl)
    found = (
        f"they explain {e.losses['explained']:.2f} of a signal power of "
        f"{e.losses['explainable']:.2f}; KL {kl} nats per pixel, lowest level first"
    )
    return Finding(name, title, not e.collapsed, found, remedy)


def shape(e: Evidence) -> Finding:
    """Compare distributions of real and redrawn noise: of pixels and of pairs."""
    name, title = "shape", "Redrawn noise is shaped like the real noise"
    remedy = "Train again with more Gaussians."
    if not e.redrawn.size:
        return Finding(name, title, None, "this method draws no noise", remedy)
    real, drawn = e.residuals[: len(e.redrawn)], e.model_noise
    distances = {"pixels": _distance(real, drawn)}
    along_axis = -2 if e.axis == "y" else -1
    for lag in range(1, LAGS + 1):
        pairs = [_pairs(values, lag, along_axis) for values in (real, drawn)]
        distances[f"differences {lag} px apart"] = _distance(pairs[0][0], pairs[1][0])
        distances[f"sums {lag} px apart"] = _distance(pairs[0][1], pairs[1][1])
    worst = max(distances, key=lambda key: distances[key])
    limit = max(SHAPE, 3 / math.sqrt(witnesses(e)))
    found = f"distributions differ by at most {100 * distances[worst]:.1f} % ({worst})"
    return Finding(name, title, distances[worst] < limit, found, remedy)


def _pairs(values: Floats, lag: int, along_axis: int) -> tuple[Floats, Floats]:
    moved = np.moveaxis(values, along_axis, -1)
    return moved[..., lag:] - moved[..., :-lag], moved[..., lag:] + moved[..., :-lag]


def _distance(a: Floats, b: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance between the values of two arrays."""
    step = max(1, a.size // THINNED)
    return float(ks_2samp(a.ravel()[::step], b.ravel()[::step]).statistic)


def strength(e: Evidence) -> Finding:
    """Compare deviations of real and redrawn noise at each level of the signal."""
    name, title = "strength", "Redrawn noise is as strong at every brightness"
    remedy = "Train longer; if that does not help, with more Gaussians."
    if not e.redrawn.size:
        return Finding(name, title, None, "this method draws no noise", remedy)
    n = len(e.redrawn)
    index = by_level(e.solutions[:n])
    ratios = [
        float(e.residuals[:n][index == i].std() / e.model_noise[index == i].std())
        for i in range(LEVELS)
        if (index == i).sum() >= ENOUGH * n
    ]
    if not ratios:
        return Finding(name, title, None, TOO_SMALL, remedy)
    low, high = min(ratios), max(ratios)
    found = f"real noise is {low:.2f} to {high:.2f} times as strong"
    limit = max(STRENGTH, 1 + SURE * math.sqrt(LEVELS / witnesses(e)))
    passed = low > 1 / limit and high < limit
    return Finding(name, title, passed, found, remedy)


def along(e: Evidence) -> Finding:
    """Compare the residual's autocorrelation with the raw and the redrawn noise's."""
    name, title = "along", "What was removed is correlated as the noise"
    remedy = "Part of the noise is still in the result: train longer, check the axis."
    if e.axis == "z":
        return Finding(name, title, None, "the noise runs along z", remedy)
    removed, found, held = profile_of(removed_noise(e)), [], []
    own = profile_of(redrawn_noise(e)) if e.redrawn.size else None
    seen = e.raw.advice.fits and e.raw.advice.clean  # else there is signal in it
    for direction in {"x": "x", "y": "y", "none": "xy"}[e.axis]:
        ours = of(removed, direction)[1 : LAGS + 1]
        raw = of(e.raw.correlation, direction)[1 : LAGS + 1]
        found.append(f"{WORDS[direction]}: {_numbers(ours)}, raw {_numbers(raw)}")
        if seen:
            limit = max(FROM_RAW, SURE * e.raw.correlation.standard_error)
            held.append(_apart(ours, raw) < limit)
        if own is not None:
            drawn = of(own, direction)[1 : LAGS + 1]
            limit = max(FROM_MODEL, SURE * math.sqrt(2 / witnesses(e)))
            held.append(_apart(ours, drawn) < limit)
            found[-1] += f", redrawn {_numbers(drawn)}"
    passed = all(held) if held else None
    return Finding(name, title, passed, "; ".join(found), remedy)


def _apart(a: Floats, b: Floats) -> float:
    """Return the largest difference of two profiles, as far as both go."""
    n = min(len(a), len(b))
    return float(np.abs(a[:n] - b[:n]).max())


def across(e: Evidence) -> Finding:
    """Look whether the residual's autocorrelation stops at other rows."""
    name, title = "across", "What was removed stops at other rows"
    remedy = (
        "Signal was removed, too, or the noise is correlated in both directions: "
        "train longer, check the axis."
    )
    directions = {"x": "y", "y": "x", "none": "xy", "z": "xy"}[e.axis]
    profiles = [_profile(removed_noise(e), a)[1 : ACROSS + 1] for a in directions]
    limit = OTHER_ROWS if len(e.solutions) > 1 else OTHER_ROWS_POINT
    limit = max(limit, SURE / math.sqrt(witnesses(e)))
    worst = max(float(np.abs(p).max()) for p in profiles)
    found = "; ".join(_numbers(p) for p in profiles)
    return Finding(name, title, worst < limit, found, remedy)


def centred(e: Evidence) -> Finding:
    """Look whether the residual is zero on average at every level of the solution."""
    name, title = "centred", "Brightness is kept at every level"
    remedy = "The result is too dark or too bright in places: train longer."
    _, biases = biases_of(e)
    if not biases:
        return Finding(name, title, None, TOO_SMALL, remedy)
    worst = max(map(abs, biases))
    limit = BIAS if len(e.solutions) > 1 else BIAS_POINT
    limit = max(limit, SURE * math.sqrt(LEVELS / witnesses(e, of_means=True)))
    found = f"the mean of what was removed is at most {worst:.2f} of its deviation"
    return Finding(name, title, worst < limit, found, remedy)


def structure(e: Evidence) -> Finding:
    """Look for traces of the solution and of its details in what was removed."""
    s, r = e.solutions, e.residuals
    details = s - ndimage.gaussian_filter(s, (0, 0, 2, 2))
    both = [_correlation(r, s - s.mean()), _correlation(r, details)]
    point = len(s) == 1
    limit = STRUCTURE_POINT if point else STRUCTURE
    limit = max(limit, SURE / math.sqrt(witnesses(e, of_means=True)))
    return Finding(
        "structure",
        "What was removed holds no structure of the image",
        max(map(abs, both)) < limit,
        f"it correlates with the result by {both[0]:.3f}, with its details by "
        f"{both[1]:.3f}",
        "Signal was removed, or noise was left: train longer, or on more images.",
    )


# Measures ---------------------------------------------------------------------


def by_level(solutions: Floats) -> np.ndarray:
    """Return for each pixel the number of its level, equally many pixels in each."""
    step = max(1, solutions.size // THINNED)
    edges = np.quantile(solutions.ravel()[::step], np.linspace(0, 1, LEVELS + 1)[1:-1])
    return np.searchsorted(edges, solutions)


def witnesses(e: Evidence, *, of_means: bool = False) -> float:
    """Return how many independent pixels the image is worth.

    Neighbours along a row tell nearly the same where the noise is correlated, and so
    do all samples, for they share one image: their number does not count. By
    Bartlett's formula for variances and correlations, or for means.
    """
    found = profile_of(removed_noise(e))
    total = 1.0
    for direction in "xy":
        r = of(found, direction)[1:]
        total += 2 * float(np.maximum(r, 0).sum() if of_means else (r**2).sum())
    return e.noisy.size / total


def biases_of(e: Evidence) -> tuple[list[float], list[float]]:
    """Return levels of the solution, and the residual's mean in its deviations."""
    index, residuals = by_level(e.solutions), e.residuals
    levels, biases = [], []
    for i in range(LEVELS):
        here = index == i
        if here.sum() >= ENOUGH * len(e.solutions):
            levels.append(float(e.solutions[here].mean()))
            biases.append(float(residuals[here].mean() / residuals[here].std()))
    return levels, biases


def removed_noise(e: Evidence) -> Floats:
    """Return the residuals, of unit deviation at every level of the solution."""
    return _standardized(e.residuals, e.solutions)


def redrawn_noise(e: Evidence) -> Floats:
    """Return the model's noise, of unit deviation at every level."""
    return _standardized(e.model_noise, e.solutions[: len(e.redrawn)])


def _standardized(noise: Floats, solutions: Floats) -> Floats:
    """Let dark pixels count as much as bright ones, whose noise is stronger."""
    index = by_level(solutions)
    scale = np.ones(LEVELS)
    for i in np.unique(index):
        scale[i] = noise[index == i].std() or 1
    return np.asarray(noise / scale[index])


def _profile(values: Floats, direction: str) -> Floats:
    return of(profile_of(values), direction)


def profile_of(values: Floats) -> Autocorrelation:
    """Return the autocorrelation of all planes of (..., y, x)."""
    planes = values.reshape(-1, *values.shape[-2:])
    return autocorrelation(planes, min(12, min(values.shape[-2:]) // 2 - 1))


def of(found: Autocorrelation, direction: str) -> Floats:
    """Return the profile along x, or along y."""
    return found.along_y if direction == "y" else found.along_x


def innovations(e: Evidence) -> Floats:
    """Return the quantiles as values of a normal distribution."""
    return np.asarray(ndtri(np.clip(e.quantiles, 1e-6, 1 - 1e-6)))


def _correlation(a: Floats, b: Floats) -> float:
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / power if power > 0 else 0.0


def _numbers(profile: Floats) -> str:
    return " ".join(f"{value:.2f}" for value in profile[:3])
