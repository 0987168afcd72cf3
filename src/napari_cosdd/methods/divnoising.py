"""DivNoising: HDN with one level of latents.

Prakash et al., "Fully Unsupervised Diversity Denoising with Convolutional Variational
Autoencoders", ICLR 2021.
"""

from typing import ClassVar

from napari_cosdd.methods.base import Preset
from napari_cosdd.methods.hdn import DIVNOISING, HDN, HDNConfig
from napari_cosdd.methods.values import Needs, Paper, Suitability
from napari_cosdd.noise_analysis.facts import NoiseFacts
from napari_cosdd.noise_models.registry import INDEPENDENT
from napari_cosdd.settings.training import TrainingConfig


class DivNoising(HDN):
    """A convolutional VAE that decodes the signal; the noise model may be learned.

    Objective as of HDN, with the latents of one level.
    """

    title = "DivNoising"
    needs = Needs(noise_models=INDEPENDENT, learns_noise=True)
    presets: ClassVar = {
        "quick": Preset(
            HDNConfig(
                n_levels=1,
                n_blocks=2,
                n_blocks_up=4,
                signal_channels=16,
            ),
            TrainingConfig(batch_size=8, learning_rate=0.002),
            "a laptop, minutes",
        ),
        "paper": Preset(
            HDNConfig(
                n_levels=1,
                n_channels=64,
                n_latents=64,
                n_blocks=4,
                n_blocks_up=4,
                n_code=32,
                signal_channels=32,
            ),
            TrainingConfig(
                crop_size=128, batch_size=32, learning_rate=0.001, max_steps=100_000
            ),
            "a GPU, hours",
        ),
    }
    tiny: ClassVar = HDN.tiny | {"n_levels": 1}

    @classmethod
    def suits(cls, facts: NoiseFacts) -> Suitability:
        """Noise that is independent from pixel to pixel, given the signal."""
        if facts.pattern == "independent" or facts.weak:
            return Suitability(1, "DivNoising fits; HDN has more levels of latents.")
        return Suitability(0, "DivNoising takes noise as independent.")

    def papers(self) -> tuple[Paper, ...]:
        """Return the paper of the method."""
        return (DIVNOISING,)
