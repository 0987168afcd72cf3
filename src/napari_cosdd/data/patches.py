"""Which pixels train and which validate, decided once; random and fixed crops."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.axes import Region, Stack
from napari_cosdd.errors import BadInputError
from napari_cosdd.spec import DataSpec

#: From this many images on, whole images are held out; below, a strip of each.
WHOLE_IMAGES = 10
#: Validation crops, and how much larger than training crops they are in y and x, up
#: to so many pixels: a network that only ever sees small crops, all of which have
#: borders, may fail inside of large images, and only large crops tell.
VALIDATION_CROPS, LARGER, LARGEST = 4, 4, 512


@dataclass(frozen=True)
class Block:
    """A box of one image: the pixels that crops may come from.

    Attributes
    ----------
    stack, image : int
        Which stack, and which image of it.
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

    Ten images or more: a share of them, drawn at random, is held out. Fewer: a
    strip at one end of each, cut between rows, whose noise is independent.

    Parameters
    ----------
    stacks : sequence of Stack
        All images, which may differ in size.
    crop : tuple of int
        Size of a training crop, pixels per spatial axis.
    multiple : tuple of int
        Validation crops are a multiple of this.
    across : int
        Spatial axis across the noise's rows, along which strips are cut.
    share : float
        Part to validate on; 0.1 is usual.
    rng : numpy.random.Generator
        Decides which.

    Raises
    ------
    BadInputError
        If an image is smaller than a crop, or too small for both parts.
    """
    blocks = [
        Block(i, n, (0,) * len(stack.size), stack.size)
        for i, stack in enumerate(stacks)
        for n in range(stack.n_images)
    ]
    whole = len(blocks) >= WHOLE_IMAGES
    for block in blocks:
        room = list(block.size)
        if not whole:
            room[across] -= _strip(block, multiple[across], across, share)
        if any(s < c for s, c in zip(room, crop, strict=True)):
            raise BadInputError(_too_small(block, room, crop, multiple))
    if whole:
        order = rng.permutation(len(blocks))
        held_out = max(1, round(share * len(blocks)))
        return Split(
            tuple(blocks[i] for i in order[held_out:]),
            tuple(blocks[i] for i in order[:held_out]),
        )
    pairs = [_cut(b, multiple[across], across, share, rng) for b in blocks]
    return Split(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def _strip(block: Block, multiple: int, across: int, share: float) -> int:
    """Return the width of the strip to validate on."""
    return max(multiple, round(share * block.size[across]) // multiple * multiple)


def _too_small(
    block: Block, room: Sequence[int], crop: Sequence[int], multiple: Sequence[int]
) -> str:
    """Say which crops an image has room for, beside what is held out of it."""
    lateral = list(zip(room, multiple, strict=True))[-2:]
    fits = min(size // step * step for size, step in lateral)
    said = (
        f"an image of {_px(block.size)} is smaller than the crop of {_px(crop)}, or "
        "leaves no room for validation beside it"
    )
    if fits < max(multiple[-2:]):
        least = max(2 * step for step in multiple[-2:])
        return f"{said}; {least} pixels along each axis are the least"
    return f"{said}; use a crop size of at most {fits}, or leave the image out"


def _cut(
    block: Block,
    multiple: int,
    across: int,
    share: float,
    rng: np.random.Generator,
) -> tuple[Block, Block]:
    """Cut a strip off one end, at random which; return what is left, and the strip."""
    length, strip = block.size[across], _strip(block, multiple, across, share)
    low, high = list(block.start), list(block.stop)
    if rng.random() < 0.5:
        low[across], high[across] = strip, strip
    else:
        low[across], high[across] = length - strip, length - strip
        first = Block(block.stack, block.image, block.start, tuple(high))
        return first, Block(block.stack, block.image, tuple(low), block.stop)
    last = Block(block.stack, block.image, tuple(low), block.stop)
    return last, Block(block.stack, block.image, block.start, tuple(high))


def _px(size: Sequence[int]) -> str:
    return " × ".join(map(str, size)) + " pixels"


class Patches:
    """Crops of the training blocks at random, of the validation blocks fixed.

    Parameters
    ----------
    stacks : sequence of Stack
        The images.
    spec : DataSpec
        Gives the normalization.
    parts : Split
        Where to crop.
    crop : tuple of int
        Pixels per spatial axis.
    multiple : tuple of int
        Validation crops are a multiple of this.
    symmetries : sequence of int
        Spatial axes that may be flipped.
    """

    def __init__(
        self,
        stacks: Sequence[Stack],
        spec: DataSpec,
        parts: Split,
        crop: tuple[int, ...],
        multiple: tuple[int, ...],
        symmetries: Sequence[int],
    ) -> None:
        self.stacks = stacks
        self.spec = spec
        self.parts = parts
        self.crop = crop
        self.multiple = multiple
        self.symmetries = tuple(symmetries)
        pixels = np.array([np.prod(b.size) for b in parts.train], dtype=float)
        self._weights = pixels / pixels.sum()

    def batch(self, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return `n` random training crops, normalized, (n, c, *crop)."""
        chosen = rng.choice(len(self.parts.train), size=n, p=self._weights)
        crops = [self._crop(self.parts.train[i], self.crop, rng) for i in chosen]
        return np.stack([self._flipped(c, rng) for c in crops])

    def validation(self, seed: int = 0) -> NDArray[np.float32]:
        """Return the fixed validation crops, normalized, (n, c, *size).

        They are as large as the blocks allow, up to four training crops wide.
        """
        rng = np.random.default_rng(seed)
        sizes = np.array([b.size for b in self.parts.validation])
        multiple = np.array(self.multiple)
        wanted = np.array(self.crop)
        wanted[-2:] = np.maximum(wanted[-2:], np.minimum(LARGER * wanted[-2:], LARGEST))
        fits = np.minimum(sizes.min(0), wanted) // multiple * multiple
        size = tuple(int(s) for s in np.maximum(fits, multiple))
        n = len(self.parts.validation)
        order = [int(i) for i in rng.permutation(n)]
        chosen = [order[i % n] for i in range(VALIDATION_CROPS)]
        crops = [self._crop(self.parts.validation[i], size, rng) for i in chosen]
        return np.stack(crops)

    def _crop(
        self, block: Block, size: tuple[int, ...], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        start = [
            int(rng.integers(a, b - s + 1))
            for a, b, s in zip(block.start, block.stop, size, strict=True)
        ]
        region: Region = tuple(
            slice(a, a + s) for a, s in zip(start, size, strict=True)
        )
        pixels = self.stacks[block.stack].read(block.image, region)
        return self.spec.normalization.apply(pixels, self.spec.ndim)

    def _flipped(
        self, crop: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        axes = tuple(a + 1 for a in self.symmetries if rng.random() < 0.5)
        return np.flip(crop, axes) if axes else crop
