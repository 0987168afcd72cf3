"""The letters that name the axes of an array.

Letters: S samples, T time, C channels, Z, Y, X space.
"""

from collections.abc import Sequence
from typing import Literal

from napari_cosdd.errors import BadInputError

LETTERS = "STCZYX"
#: Letters of the spatial axes, by their number.
SPATIAL = {1: "X", 2: "YX", 3: "ZYX"}

Region = tuple[slice, ...]
NoiseAxis = Literal["auto", "x", "y", "z", "none"]


def check_axes(axes: str, shape: Sequence[int]) -> str:
    """Validate `axes` against the shape of an array; return them in capitals.

    Raises
    ------
    BadInputError
        For unknown or repeated letters, a wrong number, or a missing X.
    """
    letters = axes.upper()
    unknown = sorted(set(letters) - set(LETTERS))
    if unknown:
        raise BadInputError(
            f"axes {axes!r} contain {', '.join(unknown)}; "
            f"expected letters of {LETTERS} (S samples, T time, C channels, Z, Y, X)"
        )
    if len(set(letters)) != len(letters):
        raise BadInputError(f"axes {axes!r} name an axis twice")
    if len(letters) != len(shape):
        raise BadInputError(
            f"axes {axes!r} name {len(letters)} axes, but the image has "
            f"{len(shape)}: shape {tuple(shape)}"
        )
    if "X" not in letters:
        raise BadInputError(f"axes {axes!r} have no X")
    return letters


def guess_axes(shape: Sequence[int]) -> str:
    """Guess the axes of an array from its shape alone."""
    guesses = {1: "X", 2: "YX", 3: "TYX", 4: "TZYX", 5: "TCZYX", 6: "STCZYX"}
    if len(shape) not in guesses:
        raise BadInputError(
            f"expected an image of 1 to 6 axes, got {len(shape)}: {tuple(shape)}"
        )
    return guesses[len(shape)]
