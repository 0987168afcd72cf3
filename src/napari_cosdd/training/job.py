"""A training whose input has been checked and whose open settings are decided."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.devices import choose_device
from napari_cosdd.events import Event
from napari_cosdd.images.files import check_writable
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import Assets
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.training.estimate import TrainingEstimate, estimate_training
from napari_cosdd.training.loop import train
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.run import TrainingRun


@dataclass(frozen=True)
class TrainingJob:
    """A training whose input has been checked and whose open settings are decided.

    Attributes
    ----------
    recipe : Recipe
        Nothing in it is open: noise axis and receptive field are known.
    crops : CropSampler
        What it will learn from.
    warnings : tuple of str
        What the user should know before it starts.
    noise : NoiseReport or None
        What the noise axis was decided on.
    trained_on : TrainedOn
        Summary of the images, for the model file.
    assets : Assets
        What the method is given beside its settings.
    weights : mapping of str to Tensor or None
        Where the networks begin; missing ones begin at random, as all if None.
    init_model : TrainedModel or None
        The model whose weights were given to start from.
    """

    recipe: Recipe[Any]
    crops: CropSampler
    warnings: tuple[str, ...]
    noise: NoiseReport | None
    trained_on: TrainedOn
    assets: Assets = field(default_factory=Assets)
    weights: Mapping[str, Tensor] | None = None
    init_model: TrainedModel | None = None

    def build(self) -> Method[Any]:
        """Make the method, with random weights or those to start from."""
        kind = get_method(self.recipe.method)
        method = kind(self.recipe.settings, self.crops.spec, self.assets)
        if self.weights is not None:
            method.load_state_dict(self.weights, strict=False)
        return method

    def estimate(self) -> TrainingEstimate:
        """Try a few small steps to say how long all take, and how much memory.

        Raises
        ------
        BadInputError
            If there is no such device.
        NotEnoughMemoryError
            If memory runs out with a single crop.
        """
        training = self.recipe.training
        device = choose_device(training.device)
        return estimate_training(self.build, self.crops, training, device)

    def start(self, output: Path | None = None) -> TrainingRun:
        """Return the training at its first step, for `training.loop.train`."""
        return TrainingRun(
            self.recipe,
            self.build,
            self.crops,
            trained_on=self.trained_on,
            init_model=self.init_model,
            fine_tuning=self.weights is not None,
            output=output,
        )

    def run(
        self,
        *,
        output: Path | None = None,
        resume: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """Train; the last event is Finished, with the TrainedModel.

        Parameters
        ----------
        output : Path, optional
            Model file; the best model so far is written there every minute.
        resume : bool
            Go on from the state beside it.
        stop : callable
            Polled after every step; True ends the training, with a model.

        Raises
        ------
        SavingError
            If `output` cannot be written to: before the training, or at its end,
            when it says where the model is instead.
        BadModelFileError
            If there is nothing to resume, or it belongs to another training.
        TrainingDivergedError, PosteriorCollapseError, NotEnoughMemoryError,
        DeviceLostError
            If training fails for good; what was learned before is in the files.
        """
        if output is not None:
            check_writable(output)
        yield from train(self.start(output), resume=resume, stop=stop)
