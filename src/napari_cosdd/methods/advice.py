"""Which method suits the noise of an image: every method is asked."""

from typing import NamedTuple

from napari_cosdd.methods.registry import all_methods
from napari_cosdd.methods.values import Needs
from napari_cosdd.noise_analysis.facts import NoiseFacts

#: Needs of a method that is given noisy images and nothing else.
NOTHING_ELSE = (Needs(), Needs(noise_axis=True))


class Recommendation(NamedTuple):
    """How well a method suits the noise of an image.

    Attributes
    ----------
    name, title : str
        Of the method.
    score : int
        3 the best choice, 2 suits, 1 possible, 0 does not suit.
    reason : str
        Why, in one sentence.
    needs : Needs
        What it needs beside noisy images.
    """

    name: str
    title: str
    score: int
    reason: str
    needs: Needs


def recommend(facts: NoiseFacts) -> tuple[Recommendation, ...]:
    """Return all methods, the best first; equal ones in the order of the table.

    Methods that need nothing but noisy images come before equal ones that do.
    """
    asked = [
        Recommendation(name, method.title, *method.suits(facts), method.needs)
        for name, method in all_methods()
    ]
    return tuple(sorted(asked, key=lambda r: (-r.score, r.needs not in NOTHING_ELSE)))


def advise(facts: NoiseFacts) -> str:
    """Return the facts and what the best method for noisy images alone says."""
    best = next(r for r in recommend(facts) if r.needs in NOTHING_ELSE)
    return f"{facts.sentence} {best.reason}"
