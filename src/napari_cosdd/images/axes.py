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
#: Origin of the axes of an image.
AxesFrom = Literal["file", "user", "guess"]


def check_axes(axes: str, shape: Sequence[int]) -> str:
    """Validate `axes` against the shape of an array; return them in capitals.

    Raises
    ------
    BadInputError
        For unknown or repeated letters, a wrong number, or a missing X.
    """
    if not isinstance(axes, str):
        raise BadInputError(f"expected axes as a word such as 'TYX', got {axes!r}")
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
    """Guess the axes of an array from its shape alone.

    Of five axes the shorter one before Y and X is the channel, as ImageJ (TZCYX) and
    OME (TCZYX) order them. An axis of up to four pixels at the end is the channel, as
    Python's libraries order it.
    """
    if 3 <= len(shape) <= 5 and shape[-1] <= 4 < min(shape[-3:-1]):
        return guess_axes(shape[:-1]) + "C"
    guesses = {1: "X", 2: "YX", 3: "TYX", 4: "TZYX", 5: "TCZYX", 6: "STCZYX"}
    if len(shape) not in guesses:
        raise BadInputError(
            f"expected an image of 1 to 6 axes, got {len(shape)}: {tuple(shape)}"
        )
    guess = guesses[len(shape)]
    if len(shape) > 4 and shape[-3] < shape[-4]:
        return guess.replace("CZ", "ZC")
    return guess


#: What the letters of a stack may be instead, by their number.
OTHERS = {
    3: ("TYX", "ZYX", "CYX", "SYX"),
    4: ("TZYX", "TCYX", "ZCYX", "CZYX", "STYX"),
    5: ("TZCYX", "TCZYX", "STCYX", "STZYX"),
}


def other_axes(axes: str) -> tuple[str, ...]:
    """Return what the axes of a stack may be instead of a guess."""
    return tuple(one for one in OTHERS.get(len(axes), ()) if one != axes)


#: Names, without an s at their end, that files and layers give to axes.
NAMES = {
    "T": ("time", "frame", "timepoint"),
    "C": ("channel", "ch", "band", "wavelength"),
    "Z": ("slice", "depth", "plane"),
    "Y": ("row", "height"),
    "X": ("col", "column", "width"),
    "S": ("sample", "scene", "serie", "position"),
}


def letters_of(names: Sequence[str], shape: Sequence[int]) -> tuple[str, AxesFrom]:
    """Return a letter for each axis that a file names, and where they are from.

    Axes without a meaning of ours, such as angles or positions (R), become time,
    samples or what else is free.

    Parameters
    ----------
    names : sequence of str
        One for each axis: a letter, or a word such as "time".
    shape : sequence of int
        Length of each axis.

    Returns
    -------
    axes : str
        One letter of "STCZYX" per axis.
    origin : {"file", "guess"}
        Whether the file says them all.
    """
    letters = [letter_of(name) for name in names]
    known = [letter for letter in letters if letter]
    free = [letter for letter in "TSZC" if letter not in known]
    unclear = len(set(known)) < len(known) or len(letters) - len(known) > len(free)
    if len(names) != len(shape) or unclear or "X" not in known:
        return guess_axes(shape), "guess"
    if len(known) == len(letters):
        return "".join(known), "file"
    if letters[-2:] != ["Y", "X"]:
        return guess_axes(shape), "guess"
    return "".join(letter or free.pop(0) for letter in letters), "guess"


def letter_of(name: str) -> str:
    """Return the letter that a name of an axis stands for, or nothing."""
    word = name.strip().lower()
    if len(word) == 1 and word.upper() in LETTERS:
        return word.upper()
    word = word.rstrip("s")
    return next((a for a, words in NAMES.items() if word in words), "")
