"""One thing that must hold for a result to be right."""

from dataclasses import dataclass

#: Lags that profiles are compared at, along the noise and across it.
LAGS, ACROSS = 6, 3
#: Standard errors that a limit is away at least.
SURE = 4
#: What is said where it cannot be told.
TOO_SMALL, NO_NOISE = "too few pixels to tell", "this method draws no noise"
WORDS = {"x": "rows", "y": "columns", "none": "no direction", "z": "planes"}

#: Whether it holds (None: it cannot be told), what was measured, what to do if not.
Judgement = tuple[bool | None, str, str]


@dataclass(frozen=True)
class Finding:
    """One thing that must hold for a result to be right.

    Attributes
    ----------
    name : str
        Short, the same for ever.
    title : str
        What must hold, in plain words.
    passed : bool or None
        None: it cannot be told for this method or image.
    found : str
        What was measured.
    remedy : str
        What to do if it does not hold.
    """

    name: str
    title: str
    passed: bool | None
    found: str
    remedy: str

    @property
    def heading(self) -> str:
        """Sign and title; what does not hold says so, not by its sign alone."""
        sign = {True: "✓", False: "!", None: "–"}[self.passed]
        return f"{sign} {self.title}{': no' if self.passed is False else ''}"

    @property
    def text(self) -> str:
        """What was measured, and what to do if it does not hold."""
        return f"{self.found}. {self.remedy}" if self.passed is False else self.found
