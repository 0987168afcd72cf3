"""Settings of the training."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from napari_cosdd.settings.fields import Settings

#: Default number of steps when fine-tuning trained networks. More anchored steps do not
#: improve the result (docs/measurements.md).
FINE_TUNING_STEPS = 1500
#: Smallest number of steps of a sufficient training.
FEW_STEPS = 200
#: Default number of steps from random weights.
STEPS_FROM_RANDOM = 6000
#: Number of steps under a time limit: large enough that the time always ends first.
UNLIMITED = 10_000_000


class TrainingConfig(Settings):
    """How long, how fast and on what to train."""

    former_names: ClassVar[Mapping[str, str]] = {"adapting_rate": "fine_tuning_rate"}

    max_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        title="Steps",
        description="Largest number of optimizer steps",
        json_schema_extra={
            "empty": f"{FINE_TUNING_STEPS} from a trained network, "
            f"{STEPS_FROM_RANDOM} from random weights, no limit beside a time limit"
        },
    )
    time_limit: float | None = Field(
        default=None,
        gt=0,
        title="Time limit",
        description="Time after which the training ends; the learning rate falls to "
        "zero by then",
        json_schema_extra={"unit": "min", "empty": "none"},
    )
    grid: int = Field(
        default=1,
        ge=1,
        le=16,
        title="Grid",
        description="Learn from grids of pixels so far apart, for noise along both "
        "axes of images that were smoothed, registered or interpolated; the result is "
        "the mean of the grids, as sharp as a blur of this width. 1: from all pixels",
        json_schema_extra={"unit": "px"},
    )
    crop_size: int = Field(
        default=64,
        ge=8,
        le=4096,
        title="Crop size",
        description="Width and height of a training crop",
        json_schema_extra={"unit": "px"},
    )
    crop_depth: int = Field(
        default=8,
        ge=1,
        le=512,
        title="Crop depth",
        description="Planes of a training crop of a 3-D stack",
        json_schema_extra={"unit": "planes"},
    )
    batch_size: int = Field(
        default=4,
        ge=1,
        le=4096,
        title="Batch size",
        description="Crops per optimizer step",
    )
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        title="Micro-batch",
        description="Crops computed at a time; fewer need less memory and give the "
        "same result. Empty: the whole batch, halved when memory runs out",
    )
    checkpointing: bool = Field(
        default=False,
        title="Save memory",
        description="Compute features again in the backward pass instead of keeping "
        "them: needs less memory, is slower, gives the same result",
    )
    learning_rate: float = Field(
        default=0.002,
        gt=0,
        le=1,
        title="Learning rate",
        description="Highest learning rate of Adam; it falls to zero along a cosine",
    )
    fine_tuning_rate: float = Field(
        default=0.1,
        gt=0,
        le=1,
        title="Rate when fine-tuning",
        description="Factor on the learning rate of the networks of the signal if the "
        "training starts from trained networks, which need to change little",
    )
    anchor: float = Field(
        default=0.003,
        ge=0,
        le=1,
        title="Anchor",
        description="Pull on the networks of the signal towards the trained networks "
        "that they start from (L2-SP): gradient per unit of distance; 0: no pull",
    )
    anchored_steps: int = Field(
        default=FINE_TUNING_STEPS,
        ge=1,
        title="Anchored",
        description="Steps after which the pull to the trained networks ends and the "
        "networks of the signal learn three times as fast, which improves long "
        "trainings. The training ends by itself when they begin to fit noise as signal",
        json_schema_extra={"unit": "steps"},
    )
    warmup_steps: int = Field(
        default=50,
        ge=0,
        title="Warm-up",
        description="Steps over which the learning rate rises to its highest value",
        json_schema_extra={"unit": "steps"},
    )
    gradient_limit: float = Field(
        default=5.0,
        ge=1,
        title="Gradient limit",
        description="Norm, in units of the usual norm, above which a gradient is "
        "shortened; an update whose gradient is not finite is left out",
    )
    averaging: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        title="Averaging",
        description="Decay per step of the averaged weights (EMA), used as the result",
    )
    validation_share: float = Field(
        default=0.1,
        gt=0,
        le=0.5,
        title="Validation share",
        description="Part of the data that is held out to judge the training",
    )
    validation_every: int = Field(
        default=200,
        ge=1,
        title="Validate every",
        description="Steps between two validations",
        json_schema_extra={"unit": "steps"},
    )
    patience: int = Field(
        default=0,
        ge=0,
        title="Patience",
        description="Validations without improvement after which the training ends; "
        "0: never",
    )
    save_every: float = Field(
        default=1.0,
        gt=0,
        title="Save every",
        description="Time between two saves of the state for resuming",
        json_schema_extra={"unit": "min"},
    )
    pretrained: bool = Field(
        default=True,
        title="Pretrained",
        description="Start from the network that comes with the package if its sizes "
        "fit; else from random weights",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        title="Seed",
        description="The same seed on the same machine gives the same model; on a CPU "
        "if OMP_NUM_THREADS is set",
    )
    device: str = Field(
        default="auto",
        title="Device",
        description="auto, cpu, cuda, cuda:1 or mps",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        title="Precision",
        description="auto is float32; bfloat16 is faster on GPUs of 2020 and later, "
        "but where it was measured the latents kept noise",
    )

    @property
    def steps(self) -> int:
        """Steps at most."""
        return STEPS_FROM_RANDOM if self.max_steps is None else self.max_steps

    def resolved(self, *, fine_tuning: bool) -> "TrainingConfig":
        """Return a copy in which `max_steps` is set.

        Parameters
        ----------
        fine_tuning : bool
            Whether the training starts from trained networks.
        """
        if self.max_steps is not None:
            return self
        steps = FINE_TUNING_STEPS if fine_tuning else STEPS_FROM_RANDOM
        if self.time_limit is not None:
            steps = UNLIMITED
        return self.model_copy(update={"max_steps": steps})
