"""A training whose input has been checked and whose open settings are decided."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.devices import choose_device
from napari_cosdd.errors import CosddError
from napari_cosdd.events import Event, Finished, Reason, Saved, Warned
from napari_cosdd.images.files import check_writable
from napari_cosdd.methods import get_method
from napari_cosdd.methods.base import Method
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.prediction.margin import measure_margin
from napari_cosdd.prediction.reversal import measure_reversible
from napari_cosdd.training.estimate import TrainingEstimate, estimate_training
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.resume import resume_path
from napari_cosdd.training.run import TrainingRun
from napari_cosdd.training.trainer import train


@dataclass(frozen=True)
class TrainingJob:
    """A training whose input has been checked and whose open settings are decided.

    Attributes
    ----------
    recipe : Recipe
        Resolved: noise axis and receptive field are known.
    patches : CropSampler
        What it will learn from.
    warnings : tuple of str
        What the user should know before it starts.
    noise : NoiseReport or None
        What the noise axis was decided on.
    trained_on : TrainedOn
        Summary of the images, for the model file.
    weights : mapping of str to Tensor or None
        Where the networks begin, parts missing or not; None: at random.
    start_model : TrainedModel or None
        What was given to start from.
    """

    recipe: Recipe
    patches: CropSampler
    warnings: tuple[str, ...]
    noise: NoiseReport | None
    trained_on: TrainedOn
    weights: Mapping[str, Tensor] | None = None
    start_model: TrainedModel | None = None

    def build(self) -> Method:
        """Make the method, with random weights or those to start from."""
        method: Method = get_method(self.recipe.method)(
            self.recipe.method_config, self.patches.spec
        )
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
        device = choose_device(self.recipe.training.device)
        return estimate_training(self.build, self.patches, self.recipe.training, device)

    def start(self, output: Path | None = None) -> TrainingRun:
        """Return the training at its first step, to be gone through with `train`."""
        return TrainingRun(
            self.recipe.method,
            self.build,
            self.patches,
            self.recipe.training,
            choose_device(self.recipe.training.device),
            output=output,
            trained_on=self.trained_on,
            start=self.start_model,
            adapting=self.weights is not None,
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
            Model file; what was learned so far is written there now and then.
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
        run = self.start(output)
        for event in train(run, resume=resume, stop=stop):
            if isinstance(event, Finished):
                model = yield from self._measured(event.result, event.reason)
                event = replace(event, result=model)
                if run.writes_to is not None:
                    event.result.save_or_rescue(run.writes_to)
                    if event.reason != "stopped":
                        resume_path(run.writes_to).unlink(missing_ok=True)
                    yield Saved(run.writes_to, event.step)
            yield event

    def _measured(
        self, model: TrainedModel, reason: Reason
    ) -> Generator[Event, None, TrainedModel]:
        """Return a model that knows its margin, and whether its noise is reversible.

        Of what was stopped on the way that is not asked: it may not know its noise.
        """
        failures = (OSError, MemoryError, RuntimeError, CosddError)
        try:
            model = replace(model, margin=measure_margin(model, self.patches.stacks[0]))
        except failures as error:
            yield Warned(
                f"how far the network looks could not be measured ({error}); tiles "
                "take a margin that is wide enough"
            )
        if reason not in ("completed", "time limit", "plateau"):
            return model
        try:
            return replace(model, reversible=measure_reversible(model, self.patches))
        except failures as error:
            yield Warned(
                f"whether the noise is the same backwards could not be measured "
                f"({error}); samples are not drawn from the reversed image"
            )
            return model
