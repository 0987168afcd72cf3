"""Decisions when a training goes wrong: go on, go back, start again, or give up.

`Recovery` returns verdicts; the loop carries them out.
"""

from dataclasses import dataclass
from typing import Literal

#: Number of skipped updates in a row at which weights return to the last sound ones.
SKIPS_ALLOWED = 20
#: Number of returns to sound weights before the training is given up.
ROLLBACKS_ALLOWED = 3
#: Number of fresh starts after a problem such as collapse.
RESTARTS_ALLOWED = 2
#: Share of the training up to which a fresh start leaves enough time.
RESTART_UNTIL = 0.6
#: Share of the training since the last fresh start (of what was left then) from which a
#: start is judged.
JUDGED_SHARE = 0.1
#: Steps since then from which a start is judged: a collapse shows in 150 to 300 steps.
JUDGED_STEPS = 200

UpdateVerdict = Literal["go on", "go back", "give up"]
ProblemVerdict = Literal["go on", "start again", "keep the best", "give up"]


@dataclass
class Recovery:
    """Counts failures, and decides what to do.

    Attributes
    ----------
    skipped, skipped_in_row : int
        Number of skipped updates, in total and since the last good one.
    rollbacks, restarts : int
        Number of returns to sound weights, and of fresh starts.
    """

    skipped: int = 0
    skipped_in_row: int = 0
    rollbacks: int = 0
    restarts: int = 0

    def after_updates(self, skipped: int, skipped_in_row: int) -> UpdateVerdict:
        """Judge the updates since the last call.

        Parameters
        ----------
        skipped : int
            How many were skipped because the gradient was not finite or exploded.
        skipped_in_row : int
            How many of them were the last ones in a row, those of before included.
        """
        self.skipped += skipped
        self.skipped_in_row = skipped_in_row
        if skipped_in_row < SKIPS_ALLOWED:
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
            Steps since the last fresh start.
        share : float
            Share done of what was left at that start.
        progress : float
            Share of the whole training done.
        final : bool
            Whether the training ends with this validation.
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
