"""Autonoise: HDN with an autoregressive noise model that was measured beforehand.

Salmon & Krull, "Towards Structured Noise Models for Unsupervised Denoising", ECCV
workshops 2022. The noise may run along an axis; it must not depend on the signal.
"""

from typing import ClassVar

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.axes import SPATIAL
from napari_cosdd.methods.hdn import HDN
from napari_cosdd.methods.hdn import PAPER as HDN_PAPER
from napari_cosdd.methods.values import Needs, Paper, Suitability
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.noise_models.autoregressive import AutoregressiveNoise

PAPER = Paper(
    "B. Salmon and A. Krull, Towards Structured Noise Models for Unsupervised "
    "Denoising, ECCV Workshops 2022.",
    "10.1007/978-3-031-25069-9_25",
)


class Autonoise(HDN):
    """HDN whose noise model sees the earlier pixels of the noise along an axis.

    Objective as of HDN, with log p(x | s) = Σ_i log p(n_i | earlier n), n = x - s.
    """

    title = "Autonoise"
    needs = Needs(noise_models=frozenset({"autoregressive"}))
    presets: ClassVar = HDN.presets
    tiny: ClassVar = HDN.tiny

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Noise along one axis that does not grow with the signal."""
        if facts.pattern == "one axis" and not facts.weak:
            return Suitability(
                1,
                "Autonoise fits if the noise does not grow with the signal, with a "
                "noise model of dark frames.",
            )
        return Suitability(0, "Autonoise is for noise along one axis.")

    @property
    def noise_dim(self) -> int | None:
        """Index of the noise model's axis among the spatial axes."""
        if not isinstance(self.noise_model, AutoregressiveNoise):
            return None
        axis, letters = self.noise_model.config.axis, SPATIAL[self.spec.ndim].lower()
        if axis not in letters:
            raise BadInputError(
                f"the noise model is of noise along {axis}, which these data lack: "
                f"expected one of {', '.join(letters)}"
            )
        return letters.index(axis)

    @property
    def noise_reach(self) -> int:
        """Earlier pixels along the axis that the noise model sees."""
        if not isinstance(self.noise_model, AutoregressiveNoise):
            return 0
        return self.noise_model.decoder.receptive_field

    def papers(self) -> tuple[Paper, ...]:
        """Return the papers of the method."""
        return (PAPER, HDN_PAPER)
