"""What to do when a training goes wrong: go on, go back, start again, or give up.

`Recovery` is told what happened and returns a verdict; the loop carries it out.
"""

from dataclasses import dataclass
from typing import Literal

#: Bad updates in a row after which the weights go back to the last sound ones.
SKIPS_ALLOWED = 20
#: Returns to sound weights before the training is given up.
ROLLBACKS_ALLOWED = 3
#: Fresh starts after a collapse.
RESTARTS_ALLOWED = 2
#: Share of the training after which too little time is left for a fresh start.
RESTART_UNTIL = 0.6
#: Share of what was left at the last fresh start, and steps since then, from which on a
#: start is judged: a collapse shows within 150 to 300 steps.
JUDGED_SHARE, JUDGED_STEPS = 0.1, 200

UpdateVerdict = Literal["go on", "go back", "give up"]
ProblemVerdict = Literal["go on", "start again", "keep the best", "give up"]


@dataclass
class Recovery:
    """Counts what went wrong.

    Attributes
    ----------
    skipped, skipped_in_row : int
        Updates that were left out, in all and since the last good one.
    rollbacks, restarts : int
        Returns to sound weights, and fresh starts.
    """

    skipped: int = 0
    skipped_in_row: int = 0
    rollbacks: int = 0
    restarts: int = 0

    def after_update(self, stepped: bool) -> UpdateVerdict:
        """Judge an update.

        Parameters
        ----------
        stepped : bool
            False if it was left out, for its gradients were not finite or exploded.
        """
        if stepped:
            self.skipped_in_row = 0
            return "go on"
        self.skipped += 1
        self.skipped_in_row += 1
        if self.skipped_in_row < SKIPS_ALLOWED:
            return "go on"
        if self.rollbacks == ROLLBACKS_ALLOWED:
            return "give up"
        self.rollbacks += 1
        self.skipped_in_row = 0
        return "go back"

    def after_problem(
        self,
        *,
        steps: int,
        share: float,
        progress: float,
        final: bool,
        has_sound_best: bool,
    ) -> ProblemVerdict:
        """Judge a validation in which the method had a problem.

        Parameters
        ----------
        steps : int
            Since the last fresh start.
        share : float
            Done of what was left at that start.
        progress : float
            Share of the whole training done.
        final : bool
            The training ends with this validation.
        has_sound_best : bool
            Whether the weights kept so far had no problem.
        """
        old_enough = steps >= JUDGED_STEPS and share > JUDGED_SHARE
        if not (old_enough or (final and self.restarts > 0)):
            return "go on"
        too_late = final or progress > RESTART_UNTIL
        if not too_late and self.restarts < RESTARTS_ALLOWED:
            self.restarts += 1
            return "start again"
        return "keep the best" if has_sound_best else "give up"
