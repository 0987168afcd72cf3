"""Standard normal noise as a function of its position, not of the order of draws.

Every number is a function of (seed, image, sample, level, channel, position). So
overlapping tiles, lazy chunks and different machines draw the same sample of the
whole image, and a sample has no seams.

The generator is Philox4x32 with 10 rounds (Salmon, Moraes, Dror & Shaw, "Parallel
random numbers: as easy as 1, 2, 3", SC 2011), written with tensor operations so that
it runs on every device; the integers are the same to the bit on all of them.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return four streams of 32 random bits, as int64, for each counter."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def _multiply(a: Tensor, b: int) -> tuple[Tensor, Tensor]:
    """Return high and low 32 bits of a product; they survive overflow of int64."""
    product = a * b
    return (product >> 32) & _MASK, product & _MASK


def box_muller(bits0: Tensor, bits1: Tensor) -> tuple[Tensor, Tensor]:
    """Turn 2 x 32 random bits into two independent standard normals, float32."""
    uniform = (bits0.to(torch.float32) + 0.5) * 2.0**-32
    radius = torch.sqrt(-2 * torch.log(uniform.clamp(max=1 - 2.0**-24)))
    angle = bits1.to(torch.float32) * (2 * math.pi * 2.0**-32)
    return radius * torch.cos(angle), radius * torch.sin(angle)


class PositionNoise:
    """Latent noise of a tile, called by the ladder with (level, shape).

    Parameters
    ----------
    samples : sequence of int
        Indices of the samples that make up the batch.
    size : sequence of int
        Pixels of the tile per spatial axis; their ratio to the shape of a level is
        that level's stride.
    device : torch.device
        Where to compute.
    seed : int
        Seed of the whole prediction.
    image : int
        Index of the image in its stack.
    origin : sequence of int, optional
        First pixel of the tile per spatial axis, in the whole image; default: 0.
    signs : sequence of {1, -1}, optional
        Sign of each sample's noise; -1 gives its mirror image, which is as probable.
    flipped : sequence of int
        Spatial axes along which the tile, and so its noise, is flipped.
    """

    def __init__(
        self,
        samples: Sequence[int],
        size: Sequence[int],
        device: torch.device,
        *,
        seed: int = 0,
        image: int = 0,
        origin: Sequence[int] | None = None,
        signs: Sequence[int] | None = None,
        flipped: Sequence[int] = (),
    ) -> None:
        self.key = (seed & _MASK, image & _MASK)
        distinct = sorted(set(samples))
        self.samples = torch.tensor(distinct, device=device)
        #: Index into `samples` for each sample of the batch; mirror images share one.
        self.index = torch.tensor([distinct.index(k) for k in samples], device=device)
        self.signs = torch.tensor(
            list(signs or [1] * len(samples)), dtype=torch.float32, device=device
        )
        self.origin = tuple(origin or (0,) * len(size))
        self.size, self.device = tuple(size), device
        self.flipped = [2 + axis for axis in flipped]

    def __call__(self, level: int, shape: torch.Size) -> Tensor:
        """Return noise of `shape` (samples, channels, *spatial) for a level."""
        n, (_, n_channels, *spatial) = len(self.samples), shape
        quads = -(-n_channels // 4)
        position = self._positions(spatial)
        channel = torch.arange(quads, device=self.device)
        blank = [1] * len(spatial)
        # Counter: low and high position, (level, channels by four), sample.
        where = position.expand(n, quads, *spatial)
        words = (
            where & _MASK,
            (where >> 32) & _MASK,
            (channel + (level << 16)).reshape(1, -1, *blank).expand_as(where),
            self.samples.reshape(-1, 1, *blank).expand_as(where),
        )
        bits = philox(words, self.key)
        normals = [*box_muller(bits[0], bits[1])]
        if n_channels > 2:  # two latents use half of the bits
            normals += box_muller(bits[2], bits[3])
        stacked = torch.stack(normals, 2)  # (n, quads, 2 or 4, *spatial)
        drawn = stacked.flatten(1, 2)[:, :n_channels].flip(self.flipped)
        return drawn[self.index] * self.signs.reshape(-1, 1, *blank)

    def _positions(self, spatial: Sequence[int]) -> Tensor:
        """Return one integer per absolute position: 21 bits for each axis."""
        result = torch.zeros((), dtype=torch.int64, device=self.device)
        for axis, (start, size, length) in enumerate(
            zip(self.origin, self.size, spatial, strict=True)
        ):
            first = start * length // size
            at = torch.arange(first, first + length, device=self.device)
            blank = [1] * len(spatial)
            blank[axis] = length
            result = (result << 21) + at.reshape(blank)
        return result
