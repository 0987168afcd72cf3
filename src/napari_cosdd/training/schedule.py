"""The schedule of a training: its progress, phases and learning rate."""

from dataclasses import dataclass
from typing import Literal

from napari_cosdd.methods.values import Moment
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.optim import cosine_rate

#: "from random weights": all networks learn. "anchored": trained networks of the signal
#: are held near their start, and learn slowly. "free": they are no longer held.
Phase = Literal["from random weights", "anchored", "free"]


@dataclass(frozen=True)
class Schedule:
    """The schedule of a training.

    Attributes
    ----------
    config : TrainingConfig
        Settings.
    fine_tuning : bool
        Whether the training starts from trained networks.
    can_be_freed : bool
        Whether the method draws noise, so that `leakage` can judge freed networks.
    """

    config: TrainingConfig
    fine_tuning: bool
    can_be_freed: bool

    def progress(self, step: int, seconds: float) -> float:
        """Return the share done by steps or by time, whichever is larger."""
        share = step / self.config.steps
        if self.config.time_limit is not None:
            share = max(share, seconds / (60 * self.config.time_limit))
        return min(1.0, share)

    def anchored_share(self, steps_since_start: int) -> float:
        """Return the share of the anchored steps done; 0 if the phase never ends."""
        ends = self.fine_tuning and self.can_be_freed and self.config.anchor > 0
        if not ends:
            return 0.0
        return min(1.0, steps_since_start / self.config.anchored_steps)

    def phase(self, steps_since_start: int) -> Phase:
        """Return the phase of the next step."""
        if not self.fine_tuning:
            return "from random weights"
        return "free" if self.anchored_share(steps_since_start) == 1 else "anchored"

    def moment(self, share: float, steps_since_start: int, restarts: int) -> Moment:
        """Return the moment of the next step, for the method's warm-ups."""
        share = max(share, self.anchored_share(steps_since_start))
        return Moment(steps_since_start, self.config.steps, share, restarts)

    def learning_rate(
        self, share: float, steps_since_start: int, restarts: int = 0
    ) -> float:
        """Return the rate of the next step; `share` of the training is done.

        Each fresh start halves it.
        """
        relative = cosine_rate(share, steps_since_start, self.config.warmup_steps)
        return self.config.learning_rate * relative * 0.5**restarts
