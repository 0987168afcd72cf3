"""A training with validated input and no open settings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.devices import choose_device
from napari_cosdd.events import Event, Warned
from napari_cosdd.images.files import check_writable
from napari_cosdd.images.locks import lock_file, locked
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.registry import get_method
from napari_cosdd.methods.values import Assets
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.training.estimate import TrainingEstimate, estimate_training
from napari_cosdd.training.loop import train
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.run import TrainingRun
from napari_cosdd.training.saving import resume_path


@dataclass(frozen=True)
class TrainingJob:
    """A training with validated input and no open settings.

    Attributes
    ----------
    recipe : Recipe
        Settings, none open: noise axis and receptive field are known.
    crops : CropSampler
        Source of training and validation crops.
    warnings : tuple of str
        Warnings for the user, told before the first step.
    noise : NoiseReport or None
        Measurement that decided the open settings.
    trained_on : TrainedOn
        Summary of the images, for the model file.
    assets : Assets
        Inputs of the method beside its settings.
    weights : mapping of str to Tensor or None
        First weights of the networks; missing ones, or all if None, are random.
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
        """Build the method with its first weights."""
        kind = get_method(self.recipe.method)
        method = kind(self.recipe.settings, self.crops.spec, self.assets)
        if self.weights is not None:
            method.load_state_dict(self.weights, strict=False)
        return method

    def estimate(self) -> TrainingEstimate:
        """Estimate time and memory from a few small steps.

        Raises
        ------
        BadInputError
            If the device is not available.
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
        """Warn and train; the last event is Finished, with the TrainedModel.

        Parameters
        ----------
        output : Path, optional
            Model file; the best model so far is written there at intervals.
        resume : bool
            Go on from the saved state beside `output`.
        stop : callable
            Polled after every step; True ends the training, with a model.

        Raises
        ------
        SavingError
            If `output` cannot be written to. Raised before the training, or at its
            end; then the message names the file that holds the model instead.
        BadInputError
            If another process trains the model of this file.
        BadModelFileError
            If there is nothing to resume, or it belongs to another training.
        TrainingDivergedError, PosteriorCollapseError, NotEnoughMemoryError,
        DeviceLostError
            If training fails finally; earlier results are in the files.
        """
        yield from map(Warned, self.warnings)
        run = self.start(output)
        if output is None or not run.saver.writes:
            yield from train(run, resume=resume, stop=stop)
            return
        check_writable(output, resume_path(output), lock_file(output))
        with locked(output) as (lock, note):
            if note:
                yield Warned(note)
            for event in train(run, resume=resume, stop=stop):
                lock.show_life()
                yield event
