"""One training: its inputs, and the objects that change during it."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_cosdd.datasets.crops import CropSampler
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.devices import available_bytes, choose_device
from napari_cosdd.errors import BadModelFileError
from napari_cosdd.methods.base import Method
from napari_cosdd.methods.capabilities import DrawsNoise
from napari_cosdd.models.noise_model_file import (
    NoiseModelInfo,
    is_described,
    to_plain,
)
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.random_state import own_random_state
from napari_cosdd.training.batches import batches
from napari_cosdd.training.distributed import Processes
from napari_cosdd.training.memory import MemoryPlan, fit_to_memory
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.recovery import Recovery
from napari_cosdd.training.resume_file import unusable
from napari_cosdd.training.saving import (
    Saver,
    plain_generator_state,
    set_generator_state,
)
from napari_cosdd.training.schedule import Schedule
from napari_cosdd.training.state import BestWeights, Reference, TrainingState
from napari_cosdd.training.stepper import Stepper
from napari_cosdd.training.weights import weights_of

#: Origin of the first weights, in words, if no trained ones are given.
RANDOM = "random weights"


class TrainingRun:
    """One training: its inputs, and the objects that change during it.

    Parameters
    ----------
    recipe : Recipe
        Settings, none of them open.
    build : callable
        Builds the method, with random or trained weights.
    crops : CropSampler
        Training and validation crops.
    trained_on : TrainedOn
        Summary of the data for the model file.
    init_model : TrainedModel, optional
        The model whose weights were given to start from; kept for resuming.
    fine_tuning : bool
        Whether `build` gives trained weights.
    output : Path, optional
        Model file. The model and the resume state are written every `save_every`
        minutes; at the end, the model is.
    """

    def __init__(
        self,
        recipe: Recipe[Any],
        build: Callable[[], Method[Any]],
        crops: CropSampler,
        *,
        trained_on: TrainedOn,
        init_model: TrainedModel | None = None,
        fine_tuning: bool = False,
        output: Path | None = None,
    ) -> None:
        self.recipe, self.build, self.crops = recipe, build, crops
        self.config = config = recipe.training
        self.trained_on, self.init_model = trained_on, init_model
        self.fine_tuning = fine_tuning
        self.device = choose_device(config.device)
        self.processes = Processes()
        writes = self.processes.is_main
        self.saver = Saver(output, config.save_every, writes=writes)
        self.rng = np.random.default_rng(config.seed)
        self.validation_crops = crops.validation(config.seed)
        self.batches = batches(crops, self.device)
        self.memory_plan = self._plan_memory()
        self.stepper = self.new_stepper(config.seed)
        drawing = isinstance(self.method, DrawsNoise)
        self.schedule = Schedule(config, fine_tuning, drawing)
        self.recovery = Recovery()
        self.state = TrainingState(
            BestWeights(weights_of(self.method)), self.stepper.state()
        )

    @property
    def method(self) -> Method[Any]:
        """The method in training."""
        method: Any = self.stepper.method
        return method

    @property
    def progress(self) -> float:
        """Share of the training done, 0 to 1."""
        return self.schedule.progress(self.state.step, self.state.seconds)

    def _plan_memory(self) -> MemoryPlan:
        """Decide how many crops to compute at a time, before anything is computed."""
        config = self.config
        with own_random_state(config.seed):
            method = self.build()
        return fit_to_memory(
            method,
            self.crops.crop,
            config.batch_size // self.processes.size,
            available_bytes(self.device),
            micro_batch=config.micro_batch,
            checkpointing=config.checkpointing,
        )

    def new_stepper(self, seed: int) -> Stepper:
        """Return a stepper with a newly built method."""
        fitted = {
            "micro_batch": self.memory_plan.micro_batch,
            "checkpointing": self.memory_plan.checkpointing,
        }
        config = self.config.model_copy(update=fitted)
        return Stepper.seeded(
            self.build, config, self.device, seed, fine_tuning=self.fine_tuning
        )

    def best_model(self) -> TrainedModel:
        """Return the best weights so far as a model on the CPU."""
        with own_random_state(0):
            method = self.build()
        method.load_state_dict(self.state.best.weights)
        return TrainedModel(
            name=self.recipe.method,
            method=method.eval(),
            training=self.config,
            trained_on=self.trained_on,
            history={k: list(v) for k, v in self.state.history.items()},
        )

    def restore(self) -> None:
        """Go on from the state beside the model file.

        Raises
        ------
        BadModelFileError
            If there is no state, or it is damaged or belongs to another training.
        """
        saved = self.saver.restore(self._identity())
        with unusable(self.saver.state_path):
            self._check_noise_model(saved.get("noise_model"))
            state = dict(saved["state"])
            best, reference = state.pop("best"), state.pop("reference")
            self.state = TrainingState(
                best=BestWeights(**best),
                reference=None if reference is None else Reference(**reference),
                **state,
            )
            self.best_model()  # whether its weights fit is seen here, not at the end
            self.stepper.restore(self.state.sound)  # likewise
            self.stepper.restore(saved["stepper"])
            self.recovery = Recovery(**saved["recovery"])
            self.stepper.guard.skipped_in_row.fill_(self.recovery.skipped_in_row)
            set_generator_state(self.rng, saved["crops"])

    def _check_noise_model(self, saved: dict[str, Any] | None) -> None:
        """Refuse to go on with another noise model than the training began with."""
        model = self.method.noise_model
        if model is None or saved is None:
            return
        learned_along = any(p.requires_grad for p in model.parameters())
        if not learned_along and not is_described(model, saved):
            raise BadModelFileError(
                f"{self.saver.state_path.name} belongs to a training with another "
                "noise model; give the same one or none, or do not resume"
            )

    def snapshot(self) -> dict[str, Any]:
        """Return the state that `restore` needs, as plain values and tensors."""
        best, reference = self.state.best, self.state.reference
        model, noise_model = self.init_model, self.method.noise_model
        return {
            "state": {
                **vars(self.state),
                "best": dict(vars(best)),
                "reference": None if reference is None else dict(vars(reference)),
            },
            "recovery": asdict(self.recovery),
            "stepper": self.stepper.state(),
            "crops": plain_generator_state(self.rng),
            "identity": self._identity(),
            "recipe": self.recipe.model_dump(),
            "init_model": None if model is None else model.to_plain(),
            "noise_model": None if noise_model is None else to_plain(noise_model),
        }

    def _identity(self) -> dict[str, Any]:
        """Return the values that must be equal for a training to go on."""
        model, seen = self.method.noise_model, self.trained_on
        return {
            "method": self.method.config.model_dump(),
            "spec": self.method.spec.model_dump(),
            "noise_model": None if model is None else NoiseModelInfo.of(model).kind,
            "start": self.trained_on.start,
            "images": seen.sha256 + seen.validated_on + seen.targets_sha256,
            "crops": [*self.crops.crop, self.config.seed],
            "validation_share": self.config.validation_share,
        }

    def spend(self, began: float) -> None:
        """Add the time since `began`, as measured by the main process."""
        seconds = self.state.seconds + time.perf_counter() - began
        self.state.seconds = self.processes.agree([seconds], self.device)[0]
