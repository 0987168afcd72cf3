"""Recommendation of methods for the noise of an image."""

from typing import NamedTuple

from napari_cosdd.methods.registry import all_methods
from napari_cosdd.methods.values import Needs
from napari_cosdd.noise_analysis.facts import LINES, NoiseFacts

#: Needs of methods for which noisy images alone suffice.
NOTHING_ELSE = (Needs(), Needs(noise_axis=True))


class Recommendation(NamedTuple):
    """How well a method suits the noise of an image.

    Attributes
    ----------
    name, title : str
        Name and title of the method.
    score : int
        3 the best choice, 2 suits, 1 possible, 0 does not suit.
    reason : str
        Reason for the score, in one sentence.
    needs : Needs
        What the method needs beside noisy images.
    """

    name: str
    title: str
    score: int
    reason: str
    needs: Needs


def recommend(facts: NoiseFacts) -> tuple[Recommendation, ...]:
    """Return all methods, the best first.

    Of methods with equal scores, those that need noisy images alone come first, then
    the order of the table decides.
    """
    recommendations = [
        Recommendation(name, method.title, *method.suits(facts), method.needs)
        for name, method in all_methods()
    ]
    return tuple(
        sorted(recommendations, key=lambda r: (-r.score, r.needs not in NOTHING_ELSE))
    )


def advise(facts: NoiseFacts) -> str:
    """Return the facts in words, with the best method for noisy images alone."""
    best = next(r for r in recommend(facts) if r.needs in NOTHING_ELSE)
    return f"{facts.sentence} {best.reason}"


def headline(facts: NoiseFacts) -> str:
    """Return the verdict on the noise in a line: a sign, what it is, what fits it."""
    best = next(r for r in recommend(facts) if r.needs in NOTHING_ELSE)
    if facts.offsets:
        line = LINES[facts.axis][:-1]
        return (
            f"! Each {line} has an offset of its own. Subtract the median of each "
            f"{line} first; then {best.title} fits."
        )
    if facts.weak:
        return f"✓ Nearly independent noise. {best.title} fits, without a noise axis."
    if facts.pattern == "one axis":
        return f"✓ Noise along the {LINES[facts.axis]}. {best.title} fits."
    if facts.pattern == "independent":
        return f"✓ Noise of single pixels. {best.title} fits, without a noise axis."
    if facts.pattern == "unclear":
        return "? It cannot be told here along which axis the noise runs."
    if facts.grid > 1:
        return "! Noise along rows and columns. Only learning from grids can help."
    return "! Noise along rows and columns. No method here fits."
