"""Random crops to train on, and fixed ones to validate on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.split import Block, Split
from napari_cosdd.images.axes import Region
from napari_cosdd.images.stack import Stack

#: Validation crops, and how much larger than training crops they are in y and x, up
#: to so many pixels: a network that only ever sees small crops, all of which have
#: borders, may fail inside of large images, and only large crops tell.
VALIDATION_CROPS, LARGER, LARGEST = 4, 4, 512


class CropSampler:
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
        return self._fixed(self.parts.validation, seed)

    def probes(self, seed: int = 0) -> NDArray[np.float32]:
        """Return fixed crops of the training blocks, as `validation` does."""
        return self._fixed(self.parts.train, seed)

    def _fixed(self, blocks: Sequence[Block], seed: int) -> NDArray[np.float32]:
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
        crops = [self._crop(blocks[i], size, rng) for i in chosen]
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
