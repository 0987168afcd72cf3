"""Random crops to train on, and fixed ones to validate on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.datasets.pairs import Pair
from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.split import Block, Split
from napari_cosdd.images.axes import Region

#: Number of validation crops.
VALIDATION_CROPS = 4
#: Factor by which validation crops exceed training crops in y and x. A network that is
#: trained on small crops only, which all have borders near, may fail inside large
#: images.
LARGER = 4
#: Largest side of a validation crop, pixels.
LARGEST = 512

#: Share of a crop that should be selected.
ENOUGH = 0.25
#: Number of places that are tried for such a crop.
TRIES = 10

#: Distance from the mean up to which pixels that do not count are left as they are,
#: deviations.
FARTHEST = 50.0

Floats = NDArray[np.float32]
Known = NDArray[np.bool_] | None


@dataclass(frozen=True)
class Crops:
    """Crops of several images, (n, c, *spatial).

    Attributes
    ----------
    noisy : ndarray
        Normalized.
    target : ndarray or None
        Targets of a supervised method, normalized.
    weight : ndarray or None
        0 for filled pixels, else 1; None if all pixels count.
    """

    noisy: Floats
    target: Floats | None = None
    weight: Floats | None = None

    def __len__(self) -> int:
        return len(self.noisy)

    def take(self, part: slice) -> "Crops":
        """Return the crops in a slice of the batch."""
        return self.map(lambda array: array[part])

    def cut(self, size: Sequence[slice]) -> "Crops":
        """Return the same spatial region of every crop."""
        return self.map(lambda array: array[(slice(None), slice(None), *size)])

    def map(self, change: Callable[[Floats], Floats]) -> "Crops":
        """Return crops with `change` applied to each array."""
        target = None if self.target is None else change(self.target)
        weight = None if self.weight is None else change(self.weight)
        return Crops(change(self.noisy), target, weight)

    @classmethod
    def stacked(cls, crops: "Sequence[Crops]") -> "Crops":
        """Stack single crops (c, *spatial) into one batch."""
        targets = [c.target for c in crops if c.target is not None]
        weight = None
        if any(c.weight is not None for c in crops):
            known = [
                np.ones_like(c.noisy) if c.weight is None else c.weight for c in crops
            ]
            weight = np.stack(known)
        noisy = np.stack([c.noisy for c in crops])
        return cls(noisy, np.stack(targets) if targets else None, weight)


class Place(NamedTuple):
    """The place of a crop.

    Attributes
    ----------
    block : Block
        Names the image.
    start : tuple of int
        First pixel per spatial axis.
    flipped : tuple of int
        Spatial axes that are flipped.
    """

    block: Block
    start: tuple[int, ...]
    flipped: tuple[int, ...]


class CropSampler:
    """Draws random crops from training blocks and fixed ones from validation blocks.

    Parameters
    ----------
    pairs : sequence of Pair
        The images and, for a supervised method, their targets.
    spec : DataSpec
        Holds the normalization.
    parts : Split
        Blocks to crop from.
    crop : tuple of int
        Pixels per spatial axis.
    multiple : tuple of int
        The sizes of validation crops are multiples of this.
    symmetries : sequence of int
        Spatial axes that may be flipped.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        spec: DataSpec,
        parts: Split,
        crop: tuple[int, ...],
        multiple: tuple[int, ...],
        symmetries: Sequence[int],
    ) -> None:
        self.pairs = pairs
        self.spec = spec
        self.parts = parts
        self.crop = crop
        self.multiple = multiple
        self.symmetries = tuple(symmetries)
        pixels = np.array([np.prod(b.size) for b in parts.train], dtype=float)
        self._weights = pixels / pixels.sum()

    def batch(self, n: int, rng: np.random.Generator) -> Crops:
        """Return `n` random training crops."""
        return Crops.stacked([self._cut(p, self.crop) for p in self.places(n, rng)])

    def places(self, n: int, rng: np.random.Generator) -> list[Place]:
        """Return the places of `n` random training crops."""
        chosen = rng.choice(len(self.parts.train), size=n, p=self._weights)
        blocks = [self.parts.train[i] for i in chosen]
        starts = [self._start(block, self.crop, rng) for block in blocks]
        flips = [
            tuple(a for a in self.symmetries if rng.random() < 0.5) for _ in blocks
        ]
        return [Place(*place) for place in zip(blocks, starts, flips, strict=True)]

    @property
    def n_bytes(self) -> int:
        """Bytes of all training images, with their targets, as float32."""
        kinds = 2 if any(p.target is not None for p in self.pairs) else 1
        pixels = sum(math.prod(self._size(stack)) for stack, _ in self._image_keys())
        return 4 * kinds * pixels * self.spec.n_channels

    def whole_images(self) -> dict[tuple[int, int], Crops]:
        """Return all training images by stack and index, each (c, *spatial)."""
        images = {}
        for stack, image in self._image_keys():
            size = self._size(stack)
            whole = Block(stack, image, (0,) * len(size), size)
            images[stack, image] = self._cut(Place(whole, whole.start, ()), size)
        return images

    def _image_keys(self) -> list[tuple[int, int]]:
        return sorted({(b.stack, b.image) for b in self.parts.train})

    def _size(self, stack: int) -> tuple[int, ...]:
        return self.pairs[stack].noisy.size

    def validation(self, seed: int = 0) -> Crops:
        """Return the fixed validation crops.

        They are as large as the blocks allow, at most four times as wide as a training
        crop.
        """
        return self._fixed(self.parts.validation, seed)

    def probes(self, seed: int = 0) -> Crops:
        """Return fixed crops of the training blocks, sized as those of `validation`."""
        return self._fixed(self.parts.train, seed)

    def _fixed(self, blocks: Sequence[Block], seed: int) -> Crops:
        rng = np.random.default_rng(seed)
        sizes = np.array([b.size for b in blocks])
        multiple = np.array(self.multiple)
        wanted = np.array(self.crop)
        wanted[-2:] = np.maximum(wanted[-2:], np.minimum(LARGER * wanted[-2:], LARGEST))
        fits = np.minimum(sizes.min(0), wanted) // multiple * multiple
        size = tuple(int(s) for s in np.maximum(fits, multiple))
        n = len(blocks)
        order = [int(i) for i in rng.permutation(n)]
        chosen = [order[i % n] for i in range(VALIDATION_CROPS)]
        places = [
            Place(blocks[i], self._start(blocks[i], size, rng), ()) for i in chosen
        ]
        return Crops.stacked([self._cut(place, size) for place in places])

    def _start(
        self, block: Block, size: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[int, ...]:
        """Return the first pixel of a random crop with enough selected pixels."""
        stack, tried = self.pairs[block.stack].noisy, []
        for _ in range(TRIES):
            start = _start(block, size, rng)
            region = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
            selected = stack.selected(region)
            if selected is None:
                return start
            tried.append((float(selected.mean()), start))
            if tried[-1][0] >= ENOUGH:
                return start
        return max(tried)[1]

    def _cut(self, place: Place, size: tuple[int, ...]) -> Crops:
        """Return one crop, (c, *spatial)."""
        block = place.block
        region: Region = tuple(
            slice(a, a + s) for a, s in zip(place.start, size, strict=True)
        )
        pair, spec = self.pairs[block.stack], self.spec
        pixels, known = pair.noisy.read_counted(block.image, region)
        noisy = _harmless(spec.normalization.apply(pixels, spec.ndim), known)
        target = None
        if pair.target is not None:
            pixels, also_known = pair.target.read_counted(block.image, region)
            target = spec.results.apply(pixels, spec.ndim)
            target = _harmless(target, also_known)
            known = _both(known, also_known)
        weight = None if known is None else known.astype(np.float32)
        crop = Crops(noisy, target, weight)
        axes = tuple(a + 1 for a in place.flipped)
        return crop.map(lambda array: np.flip(array, axes)) if axes else crop


def _start(
    block: Block, size: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, ...]:
    """Return the first pixel of a random crop inside a block."""
    return tuple(
        int(rng.integers(a, b - s + 1))
        for a, b, s in zip(block.start, block.stop, size, strict=True)
    )


def _harmless(pixels: Floats, known: Known) -> Floats:
    """Return normalized pixels; what does not count and is far or NaN becomes the mean.

    The networks see the surroundings of what counts, and NaN would reach it.
    """
    if known is None:
        return pixels
    return np.where(known | (np.abs(pixels) < FARTHEST), pixels, np.float32(0))


def _both(a: Known, b: Known) -> Known:
    """Return the mask of pixels that both masks include; None means all pixels."""
    if a is None or b is None:
        return b if a is None else a
    return a & b
