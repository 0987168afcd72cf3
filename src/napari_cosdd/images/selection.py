"""The part of an image to use: a rectangle or a mask in the plane (y, x)."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.formats.any import read_image
from napari_cosdd.images.image import Image
from napari_cosdd.images.stack import ArrayLike

#: The number of a channel, from 0, or all of them, each by itself.
EACH: Literal["each"] = "each"
Channel = int | Literal["each"]
#: A rectangle (slices of y and x), a mask (y, x), its file, or "y0:y1,x0:x1".
Selected = tuple[slice, slice] | NDArray[Any] | Path | str


class Part(NamedTuple):
    """The selected part of an image.

    Attributes
    ----------
    image : Image
        Cut to the box around what is selected; its `selection` is the mask in the box,
        or None if all of the box is selected.
    box : tuple of slice
        Index of the box in the whole array, a slice for each axis.
    """

    image: Image
    box: tuple[slice, ...]


def part_of(image: Image, selected: Selected) -> Part:
    """Return the selected part of an image.

    Raises
    ------
    BadInputError
        If the image has no plane, nothing is selected, or the selection does not fit.
    """
    if not {"Y", "X"} <= set(image.axes):
        raise BadInputError(f"a region needs axes Y and X; {image.name} has no Y")
    at = [image.axes.index(a) for a in "YX"]
    mask = _mask(selected, tuple(image.data.shape[i] for i in at), image.name)
    rows, columns = (np.flatnonzero(mask.any(1 - axis)) for axis in (0, 1))
    if not len(rows):
        raise BadInputError(f"nothing of {image.name} is in the region")
    inner = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    box = [slice(0, n) for n in image.data.shape]
    for i, bounds in zip(at, inner, strict=True):
        box[i] = slice(int(bounds.start), int(bounds.stop))
    inside = mask[inner]
    pixels: Any = image.data
    cut = pixels[tuple(box)] if isinstance(pixels, np.ndarray) else Window(pixels, box)
    chosen = None if inside.all() else inside
    return Part(replace(image, data=cut, selection=chosen), tuple(box))


def channel_from(text: str | None) -> Channel | None:
    """Return the channel that a user typed: a number from 0, or "each".

    Raises
    ------
    BadInputError
        If it is neither.
    """
    if text is None or text == EACH:
        return text
    if not text.isdecimal():
        raise BadInputError(f"channel {text!r}: expected a number from 0, or {EACH!r}")
    return int(text)


def rectangle_from(text: str) -> tuple[slice, slice] | None:
    """Read "y0:y1,x0:x1", pixels; None if the text is something else."""
    numbers = re.fullmatch(r"\s*(\d+):(\d+)\s*,\s*(\d+):(\d+)\s*", text)
    if numbers is None:
        return None
    top, bottom, left, right = map(int, numbers.groups())
    return slice(top, bottom), slice(left, right)


def rectangle_of(given: object) -> tuple[slice, slice]:
    """Return a rectangle that is given as slices or text.

    Raises
    ------
    BadInputError
        If it is something else.
    """
    found = rectangle_from(given) if isinstance(given, str) else given
    match found:
        case (slice() as rows, slice() as columns):
            return rows, columns
    raise BadInputError(
        "expected a region as two slices, of y and of x, or as y0:y1,x0:x1; got "
        f"{given!r}"
    )


def channel_of(image: Image, number: Channel | None) -> Image:
    """Return one channel of an image, counted from 0; None: the image itself.

    "each" makes every channel an image of its own.

    Raises
    ------
    BadInputError
        If the image has no such channel; for "each", if it has all axes, so that no
        letter is free for the channels.
    """
    if number is None:
        return image
    if number != EACH and not isinstance(number, int):
        raise BadInputError(
            f"channel {number!r}: expected a whole number from 0, or {EACH!r}"
        )
    at = image.axes.find("C")
    if number == EACH:
        return image if at < 0 else _one_by_one(image)
    n = image.data.shape[at] if at >= 0 else 1
    if not 0 <= number < n:
        raise BadInputError(
            f"{image.name} has {n} channels, numbered from 0; got {number}"
        )
    if at < 0:
        return image
    box = [slice(0, length) for length in image.data.shape]
    box[at] = slice(number, number + 1)
    pixels: Any = image.data
    cut = pixels[tuple(box)] if isinstance(pixels, np.ndarray) else Window(pixels, box)
    return replace(image, data=cut, channels=image.channels[number : number + 1])


def fitting(truth: Image, image: Image, channel: Channel | None) -> Image:
    """Return a target or reference with the axes of an image.

    One of a single channel serves any channel of the image.

    Parameters
    ----------
    truth : Image
        Target or reference.
    image : Image
        Its `channel` is taken already.
    channel : int or "each", optional
        Channel to take of a truth with several.
    """
    at, wanted = truth.axes.find("C"), image.axes.find("C")
    if at >= 0 and truth.data.shape[at] > 1:
        return channel_of(truth, channel)
    same = truth.axes.replace("C", "") == image.axes.replace("C", "")
    if not same or (at >= 0) == (wanted >= 0):
        return truth
    pixels = np.asarray(truth.data)
    if at >= 0:
        return truth.with_data(pixels.squeeze(at), truth.name, image.axes)
    return truth.with_data(np.expand_dims(pixels, wanted), truth.name, image.axes)


def _one_by_one(image: Image) -> Image:
    """Return an image whose channels count as images of their own."""
    # Not Z: a model of volumes would take the channels for depths.
    free = next((letter for letter in "ST" if letter not in image.axes), None)
    if free is None:
        raise BadInputError(
            f"{image.name} has axes S and T already; choose one of its channels"
        )
    axes = image.axes.replace("C", free)
    return replace(image, axes=axes, result_axes=image.axes)


def _mask(selected: Selected, size: tuple[int, ...], name: str) -> NDArray[np.bool_]:
    """Return the selection as a mask of the plane."""
    if isinstance(selected, str):
        selected = rectangle_from(selected) or selected
    if isinstance(selected, (str, Path)):
        file = read_image(Path(selected), as_mask=True)
        selected = np.squeeze(np.asarray(file.data))
    if isinstance(selected, tuple):
        selected = rectangle_of(selected)
        if any(s.step not in (None, 1) for s in selected):
            raise BadInputError("expected slices of step 1 for the region")
        ends = [(s.start or 0, s.stop) for s in selected]
        stops = [n if b is None else b for (_, b), n in zip(ends, size, strict=True)]
        starts = [a for a, _ in ends]
        fits = all(0 <= a < b <= n for a, b, n in zip(starts, stops, size, strict=True))
        if not fits:
            raise BadInputError(
                f"the region {', '.join(f'{a}:{b}' for a, b in ends)} (y, x) is not "
                f"inside {name}, which has {' × '.join(map(str, size))} pixels"
            )
        mask = np.zeros(size, bool)
        mask[starts[0] : stops[0], starts[1] : stops[1]] = True
        return mask
    if selected.shape != size:
        raise BadInputError(
            f"the mask has {' × '.join(map(str, selected.shape))} pixels, and "
            f"{name} {' × '.join(map(str, size))} (y, x)"
        )
    return np.nan_to_num(selected) != 0


class Window:
    """A box of an array that is read on demand."""

    def __init__(self, data: ArrayLike, box: Sequence[slice]) -> None:
        self.data, self.box = data, tuple(box)
        self.dtype = data.dtype
        self.shape = tuple(s.stop - s.start for s in self.box)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all pixels of the box."""
        return np.asarray(self[()], dtype)

    def __getitem__(self, index: Any) -> Any:
        """Return a part, at whole numbers and slices of step 1."""
        index = index if isinstance(index, tuple) else (index,)
        index = (*index, *(slice(None),) * (len(self.shape) - len(index)))
        moved: list[int | slice] = []
        for i, inside, n in zip(index, self.box, self.shape, strict=True):
            if isinstance(i, slice):
                start, stop, _ = i.indices(n)
                moved.append(slice(inside.start + start, inside.start + stop))
            else:
                moved.append(inside.start + int(range(n)[i]))
        return self.data[tuple(moved)]
