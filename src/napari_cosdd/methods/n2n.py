"""Noise2Noise: a U-Net that learns from pairs of noisy images of one scene.

Lehtinen et al., "Noise2Noise: Learning image restoration without clean data", ICML
2018.
"""

from napari_cosdd.methods.supervised import SupervisedMethod
from napari_cosdd.methods.values import Needs, Paper, Suitability
from napari_cosdd.noise_analysis.facts import NoiseFacts

PAPER = Paper(
    "J. Lehtinen, J. Munkberg, J. Hasselgren, S. Laine, T. Karras, M. Aittala and "
    "T. Aila, Noise2Noise: Learning Image Restoration without Clean Data, ICML 2018.",
    "10.48550/arXiv.1803.04189",
)


class Noise2Noise(SupervisedMethod):
    """Learns E[s | x] from targets whose noise is independent and has mean zero."""

    title = "Noise2Noise"
    needs = Needs(target="noisy")

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Any noise, where each scene was imaged twice."""
        return Suitability(
            2, "Noise2Noise suits any noise, where each scene was imaged twice."
        )

    def papers(self) -> tuple[Paper, ...]:
        """Return the paper of the method."""
        return (PAPER,)

    def networks_in_words(self) -> str:
        """Describe network and loss in a sentence."""
        return (
            f"A U-Net with {self.config.n_levels} resolutions and "
            f"{self.config.n_channels} channels was trained to predict one of two "
            "noisy images of each scene from the other."
        )
