"""The split of the pixels into training and validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_cosdd.errors import BadInputError
from napari_cosdd.images.stack import Stack

#: Number of images from which on whole images are held out; with fewer, a strip of
#: each image is held out.
WHOLE_IMAGES = 10


@dataclass(frozen=True)
class Block:
    """A box of one image: the pixels that crops may come from.

    Attributes
    ----------
    stack, image : int
        Index of the stack, and of the image in it.
    start, stop : tuple of int
        Bounds per spatial axis.
    """

    stack: int
    image: int
    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Lengths per spatial axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))


@dataclass(frozen=True)
class Split:
    """Blocks to train on and blocks to validate on; they share no pixel."""

    train: tuple[Block, ...]
    validation: tuple[Block, ...]


def split(
    stacks: Sequence[Stack],
    crop: tuple[int, ...],
    multiple: tuple[int, ...],
    across: int,
    share: float,
    rng: np.random.Generator,
) -> Split:
    """Divide the pixels of all stacks into training and validation.

    With ten images or more, a random share of the images is held out. With fewer, a
    strip at one end of each image is held out; it is cut between rows, whose noise is
    independent.

    Parameters
    ----------
    stacks : sequence of Stack
        All images, which may differ in size.
    crop : tuple of int
        Size of a training crop, pixels per spatial axis.
    multiple : tuple of int
        The sizes of validation crops are multiples of this.
    across : int
        Spatial axis perpendicular to the noise; strips are cut along it.
    share : float
        Part to validate on; 0.1 is usual.
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    BadInputError
        If an image is smaller than a crop, or too small for both parts.
    """
    blocks = [block for i, stack in enumerate(stacks) for block in _whole(i, stack)]
    rooms = room_for_crops(stacks, multiple, across, share)
    for stack, room in zip(stacks, rooms, strict=True):
        if any(s < c for s, c in zip(room, crop, strict=True)):
            raise BadInputError(_too_small(stack, room, crop, multiple))
    if _whole_images(stacks):
        order = rng.permutation(len(blocks))
        held_out = max(1, round(share * len(blocks)))
        return Split(
            tuple(blocks[i] for i in order[held_out:]),
            tuple(blocks[i] for i in order[:held_out]),
        )
    strips = [_strips(stack, multiple[across], across, share) for stack in stacks]
    pairs = [_cut(block, strips[block.stack], across, rng) for block in blocks]
    return Split(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def split_off(
    train: Sequence[Stack],
    validation: Sequence[Stack],
    crop: tuple[int, ...],
    multiple: tuple[int, ...],
) -> Split:
    """Train on all pixels of some images, and validate on other images.

    Blocks count the stacks of `train` first. Other parameters are those of `split`.

    Raises
    ------
    BadInputError
        If an image to train on is smaller than a crop, or one to validate on smaller
        than `multiple`.
    """
    for stack in train:
        if any(s < c for s, c in zip(stack.size, crop, strict=True)):
            raise BadInputError(_too_small(stack, stack.size, crop, multiple))
    for stack in validation:
        if any(s < m for s, m in zip(stack.size, multiple, strict=True)):
            raise BadInputError(
                f"an image of {_px(stack.size)} is too small to validate on; "
                f"{_px(multiple)} are the least"
            )
    n = len(train)
    return Split(
        tuple(b for i, stack in enumerate(train) for b in _whole(i, stack)),
        tuple(b for i, stack in enumerate(validation, n) for b in _whole(i, stack)),
    )


def room_for_crops(
    stacks: Sequence[Stack], multiple: tuple[int, ...], across: int, share: float
) -> list[tuple[int, ...]]:
    """Return the largest crop of each stack that leaves room for validation, pixels.

    The parameters are those of `split`.
    """
    rooms = []
    for stack in stacks:
        room = list(stack.size)
        if not _whole_images(stacks):
            room[across] -= max(_strips(stack, multiple[across], across, share))
        rooms.append(tuple(room))
    return rooms


def _whole_images(stacks: Sequence[Stack]) -> bool:
    """Whether whole images are held out, not a strip of each."""
    return sum(stack.n_images for stack in stacks) >= WHOLE_IMAGES


def _whole(index: int, stack: Stack) -> list[Block]:
    """Return each image of a stack as a block."""
    start = (0,) * len(stack.size)
    return [Block(index, n, start, stack.size) for n in range(stack.n_images)]


def _strips(stack: Stack, multiple: int, across: int, share: float) -> tuple[int, int]:
    """Return the widths of a validation strip at the start and at the end, pixels.

    Where only a part of the image is selected, a strip holds that share of it.
    """
    length, in_plane = stack.size[across], across - len(stack.size) + 2
    if stack.selection is None or in_plane < 0:
        strip = max(multiple, round(share * length) // multiple * multiple)
        return strip, strip
    selected = stack.selection.sum(1 - in_plane)
    needed = share * selected.sum()
    ends = (selected, selected[::-1])
    first, last = (
        -(-(1 + int(np.searchsorted(end.cumsum(), needed))) // multiple) * multiple
        for end in ends
    )
    return first, last


def _too_small(
    stack: Stack, room: Sequence[int], crop: Sequence[int], multiple: Sequence[int]
) -> str:
    """Return an error message with the largest crop that fits beside validation."""
    lateral = list(zip(room, multiple, strict=True))[-2:]
    fits = min(size // step * step for size, step in lateral)
    problem = f"an image of {_px(stack.size)} is smaller than the crop of {_px(crop)}"
    whole = tuple(room) == stack.size  # nothing of it is to validate on
    if not whole:
        problem += ", or leaves no room for validation beside it"
    if fits < max(multiple[-2:]):
        least = max(multiple[-2:]) * (1 if whole else 2)
        return f"{problem}; {least} pixels along each axis are the least"
    return f"{problem}; use a crop size of at most {fits}, or leave the image out"


def _cut(
    block: Block, strips: tuple[int, int], across: int, rng: np.random.Generator
) -> tuple[Block, Block]:
    """Cut a strip off a random end; return the rest of the block, and the strip."""
    length, low, high = block.size[across], list(block.start), list(block.stop)
    at_start = rng.random() < 0.5
    strip = strips[0] if at_start else strips[1]
    if at_start:
        low[across], high[across] = strip, strip
    else:
        low[across], high[across] = length - strip, length - strip
        first = Block(block.stack, block.image, block.start, tuple(high))
        return first, Block(block.stack, block.image, tuple(low), block.stop)
    last = Block(block.stack, block.image, tuple(low), block.stop)
    return last, Block(block.stack, block.image, block.start, tuple(high))


def _px(size: Sequence[int]) -> str:
    return " × ".join(map(str, size)) + " pixels"
