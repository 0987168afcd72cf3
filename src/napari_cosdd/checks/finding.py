"""A finding: one condition of a right result, and whether it holds."""

from dataclasses import dataclass

#: Number of lags at which profiles along the noise are compared.
LAGS = 6
#: Number of lags at which profiles across the noise are compared.
ACROSS = 3
#: Smallest limit of a finding, in standard errors.
SURE = 4
#: Why a condition cannot be tested: the image.
TOO_SMALL = "too few pixels to tell"
#: Why a condition cannot be tested: the method.
NO_NOISE = "this method draws no noise"
WORDS = {"x": "rows", "y": "columns", "none": "no direction", "z": "planes"}

#: Whether the condition holds (None: untested), the measurement in words, the remedy.
Judgement = tuple[bool | None, str, str]


@dataclass(frozen=True)
class Finding:
    """One condition of a right result, and whether it holds.

    Attributes
    ----------
    name : str
        Short identifier, stable over releases.
    title : str
        The condition, in plain words.
    passed : bool or None
        Whether it holds; None if it cannot be tested for this method or image.
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
        """Sign and title, with ": no" if the condition does not hold."""
        sign = {True: "✓", False: "!", None: "–"}[self.passed]
        return f"{sign} {self.title}{': no' if self.passed is False else ''}"

    @property
    def text(self) -> str:
        """What was measured, and what to do if it does not hold."""
        return f"{self.found}. {self.remedy}" if self.passed is False else self.found
