"""Findings about the model itself: its axis, its reach, its training."""

import numpy as np

from napari_cosdd.checks.evidence import Evidence
from napari_cosdd.checks.finding import LAGS, WORDS, Judgement
from napari_cosdd.checks.measures import Floats, apart
from napari_cosdd.datasets.summary import NoiseSummary
from napari_cosdd.images.saturation import SATURATED, cut_off
from napari_cosdd.settings.training import FEW_STEPS

#: Ratio of noise deviations at equal brightness from which cameras count as different.
CAMERA = 1.5
#: Difference of the raw noise's autocorrelation from that of the training images, from
#: which cameras count as different.
CAMERA_CORRELATION = 0.25
#: Largest fall of the loss in the last quarter of a sufficient training, nats.
FALLING = 0.03


def likeness(e: Evidence) -> Judgement:
    """Compare levels and noise of the image with those of the training images."""
    remedy = "Other camera, gain or exposure: train a model on this image."
    if not e.trained_on.levels_1_50_99:
        return None, "not recorded", remedy
    found = [*e.unlike, *_other_camera(e)]
    return not found, "; ".join(found) or "brightness and noise agree", remedy


def cut(e: Evidence) -> Judgement:
    """Tell whether bright pixels were cut off, as by a saturated detector."""
    share = cut_off(e.noisy)
    remedy = (
        "What was cut off cannot be restored, and bright places come out too dark. "
        "Take the image again with less light or gain."
    )
    if share < SATURATED:
        return True, "no pixels pile up at the highest grey level", remedy
    return False, f"{share:.1%} of the pixels have the highest grey level", remedy


def _other_camera(e: Evidence) -> list[str]:
    """Describe how the raw noise differs from that of the training images."""
    then = e.trained_on.noise
    if then is None:
        return []
    differences = []
    ratio = _ratio(e.raw.dependence.signal, e.raw.dependence.variance, then)
    if not 1 / CAMERA < ratio < CAMERA:
        differences.append(
            f"at equal brightness its noise is {ratio:.2g} times as strong as theirs"
        )
    powers = e.raw.correlation.variance, then.power
    for axis, theirs in (("x", then.along_x), ("y", then.along_y)):
        now, before = e.raw.correlation.along(axis)[1:], np.array(theirs)
        if _differ(now, before, powers):
            differences.append(
                f"its noise correlates along {WORDS[axis]} by {now[0]:.2f}, theirs by "
                f"{before[0]:.2f}"
            )
    return differences


def _differ(now: Floats, before: Floats, powers: tuple[float, float | None]) -> bool:
    """Whether correlations differ and, where known, covariances, too.

    In brighter patches, shot noise lowers the correlation along a detector's rows but
    keeps the covariance, so one of the two agreeing is enough.
    """
    differences = [apart(now, before)]
    ours, theirs = powers
    if theirs is not None:
        covariances = apart(now * ours, before * theirs)
        differences.append(covariances / max(ours, theirs))
    return min(differences) > CAMERA_CORRELATION


def _ratio(signal: Floats, variance: Floats, then: NoiseSummary) -> float:
    """Return the ratio of noise deviations at levels that both curves include."""
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
    facts = e.raw.facts
    remedy = f"Train again with noise axis {facts.axis}."
    if not e.needs.noise_axis:
        remedy = "Use a method for noise that is correlated along an axis."
    if e.needs.target != "none":
        return None, "learned from targets, whatever the noise", remedy
    if e.axis == "z" or not facts.is_clear:
        why = "along z" if e.axis == "z" else "not clear from the image alone"
        return None, why, remedy
    first = e.raw.correlation.along("y" if facts.axis == "y" else "x")[1]
    found = f"image: {WORDS[facts.axis]} (r(1) = {first:.2f}); model: {WORDS[e.axis]}"
    fits = facts.axis in (e.axis, "none") or (facts.weak and e.axis == "none")
    return fits, found, remedy


def training(e: Evidence) -> Judgement:
    """Check whether training was long enough for the loss to settle."""
    remedy = "Train longer."
    steps = [s for s in e.history.get("step", []) if s is not None]
    if not steps:
        return None, "not recorded", remedy
    losses = e.history.get("loss", [])
    known = [(s, v) for s, v in zip(steps, losses, strict=False) if v is not None]
    found = f"{steps[-1]:.0f} steps"
    if steps[-1] < FEW_STEPS:
        return False, f"{found}; {FEW_STEPS} are the least", remedy
    if len(known) <= 3:  # too few validations to see a fall
        return True, found, remedy
    s, v = np.array(known).T
    fall = float(np.interp(0.75 * s[-1], s, v) - v[-1])
    found += f"; the loss fell by {fall:.3f} in the last quarter"
    return fall < FALLING, found, remedy


def reach(e: Evidence) -> Judgement:
    """Compare the receptive field with how far the raw noise is correlated."""
    facts = e.raw.facts
    remedy = f"Train again with a receptive field of {facts.receptive_field} px."
    if not e.needs.noise_axis or e.axis in ("z", "none") or facts.axis != e.axis:
        return None, "no correlation to be reached", remedy
    found = f"the noise is seen {facts.reach} px away, the model looks {e.reach} px"
    if e.unexpected is not None:
        rest = e.unexpected.along(e.axis)[1 : LAGS + 1]
        worst = rest[np.abs(rest).argmax()]
        found += f"; what it does not expect correlates by {worst:.2f}"
    return e.reach >= facts.reach, found, remedy


def latents(e: Evidence) -> Judgement:
    """Ask the method whether its latents carry the signal."""
    remedy = "Train again with another seed, or longer."
    if not e.learned:
        return None, "no latents", remedy
    if e.problem is not None:
        name = e.problem.name
        remedy = f"{name[0].upper()}{name[1:]}: train with another seed, or longer."
    return e.problem is None, e.learned, remedy
