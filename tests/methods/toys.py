"""A toy method for each kind of needs: one layer, a few lines."""

from typing import ClassVar

from pydantic import Field
from torch import nn

from napari_cosdd.events import Curve
from napari_cosdd.methods.base import Method, MethodConfig, Preset
from napari_cosdd.methods.noise_axis import NoiseAxisConfig, NoiseAxisMethod
from napari_cosdd.methods.outputs import MEAN, Output
from napari_cosdd.methods.values import (
    NO_ASSETS,
    TRAINED,
    Losses,
    Needs,
    Paper,
    Problem,
    Suitability,
    weighted_mean,
)
from napari_cosdd.nets.blocks import conv

EDGES = Output("edges", "derived", "none")


class ToyConfig(MethodConfig):
    n_channels: int = Field(default=4, ge=1, title="Channels", description="Features")


class Toy(Method[ToyConfig]):
    """Needs nothing but noisy images, and gives two outputs."""

    title = "Toy"
    Config: ClassVar = ToyConfig
    presets: ClassVar = {"quick": Preset(ToyConfig())}
    tiny: ClassVar = {"n_channels": 4}

    def __init__(self, config, spec, assets=NO_ASSETS):
        super().__init__(config, spec, assets)
        n = spec.n_channels
        self.net = nn.Sequential(
            conv(spec.ndim, n, config.n_channels),
            nn.ReLU(),
            conv(spec.ndim, config.n_channels, n),
        )

    @classmethod
    def suits(cls, facts):
        return Suitability(1, "A toy suits nobody.")

    def losses(self, batch, generator, stage=TRAINED):
        wanted = batch.x if batch.target is None else batch.target
        error = (self.net(batch.x) - wanted).square()
        return Losses({"toy": weighted_mean(error, batch.weight)}, {})

    @property
    def curves(self):
        return (Curve("toy", "toy error", "Toys", "marbles"),)

    @property
    def outputs(self):
        return (MEAN, EDGES)

    def predict(self, x):
        s = self.net(x)
        return {"mean": s, "edges": s - s.roll(1, -1)}

    def tile_multiple(self):
        return (1,) * self.spec.ndim

    def papers(self):
        return (Paper("A. Toy, Toys, 2026.", "10.0/toy"),)

    def networks_in_words(self):
        return "A toy was played with."


class CleanToy(Toy):
    title = "Clean toy"
    needs = Needs(target="clean")


class TwinToy(Toy):
    title = "Twin toy"
    needs = Needs(target="noisy")


class NoiseModelToy(Toy):
    title = "Noise model toy"
    needs = Needs(noise_models=frozenset({"mixture"}))

    def losses(self, batch, generator, stage=TRAINED):
        x, s = (self.spec.to_grey(a) for a in (batch.x, self.net(batch.x)))
        nll = -self.noise_model.log_prob(x, s)
        return Losses({"toy": weighted_mean(nll, batch.weight)}, {})


class AxisToyConfig(NoiseAxisConfig, ToyConfig):
    pass


class AxisToy(Toy, NoiseAxisMethod[AxisToyConfig]):
    title = "Axis toy"
    Config: ClassVar = AxisToyConfig
    presets: ClassVar = {"quick": Preset(AxisToyConfig())}
    tiny: ClassVar = {"n_channels": 4, "noise_axis": "x", "receptive_field": 5}
    needs = Needs(noise_axis=True)


class TroubledToy(Toy):
    """Has a problem, in its own words, whatever it learns."""

    title = "Troubled toy"

    def problem(self, losses):
        return Problem("the toy broke", f"error {losses['toy']:.1f}", "Glue it.")


TOYS = {
    "toy": Toy,
    "toy-clean": CleanToy,
    "toy-twin": TwinToy,
    "toy-noise-model": NoiseModelToy,
    "toy-axis": AxisToy,
}
