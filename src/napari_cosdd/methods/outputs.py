"""The output images of a prediction."""

from dataclasses import dataclass
from typing import Literal

#: What an output is: an estimate of the signal, the spread of the posterior, one
#: posterior sample, or an image computed from an estimate.
Role = Literal["estimate", "spread", "sample", "derived"]
#: Conversion of normalized values to grey levels: with scale and offset, with the scale
#: alone (for differences), or none.
Units = Literal["levels", "scale", "none"]


@dataclass(frozen=True)
class Output:
    """One image of a prediction.

    Attributes
    ----------
    name : str
        Shown to users and part of file names, such as "mean" or "sample 3".
    role : {"estimate", "spread", "sample", "derived"}
        Kind of the image.
    units : {"levels", "scale", "none"}
        Conversion of normalized values to grey levels.
    index : int or None
        Index of a sample, from 0; None for other roles.
    """

    name: str
    role: Role
    units: Units = "levels"
    index: int | None = None


#: The MMSE estimate, which every prediction has.
MEAN = Output("mean", "estimate")
#: The posterior standard deviation of each pixel.
DEVIATION = Output("deviation", "spread", "scale")


def sample_output(index: int) -> Output:
    """Return the output of a kept sample; its name counts from 1."""
    return Output(f"sample {index + 1}", "sample", index=index)
