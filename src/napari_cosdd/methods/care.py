"""CARE: a U-Net that learns from pairs of noisy and clean images.

Weigert et al., "Content-aware image restoration", Nature Methods 2018.
"""

from napari_cosdd.methods.supervised import SupervisedMethod
from napari_cosdd.methods.values import Needs, Paper, Suitability
from napari_cosdd.noise_analysis.facts import NoiseFacts

PAPER = Paper(
    "M. Weigert, U. Schmidt, T. Boothe et al., Content-Aware Image Restoration: "
    "Pushing the Limits of Fluorescence Microscopy, Nature Methods 2018.",
    "10.1038/s41592-018-0216-7",
)


class CARE(SupervisedMethod):
    """Learns to predict the clean image; with squared error, this is E[s | x]."""

    title = "CARE"
    needs = Needs(target="clean")

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Any noise, where there are clean images of the same scenes."""
        return Suitability(
            2, "CARE suits any noise, where clean images of the same scenes exist."
        )

    def papers(self) -> tuple[Paper, ...]:
        """Return the paper of the method."""
        return (PAPER,)

    def networks_in_words(self) -> str:
        """Describe network and loss in a sentence."""
        return (
            f"A U-Net with {self.config.n_levels} resolutions and "
            f"{self.config.n_channels} channels was trained on pairs of noisy and "
            "clean images to predict the clean image."
        )
