"""A pool of scenes on the device, from which noisy crops are drawn."""

import torch
from torch import Tensor

from napari_cosdd.methods.values import Batch
from napari_cosdd.nets.blocks import channels_last
from pretraining.noises import add_noise
from pretraining.scenes import scenes

#: Side of a scene, pixels.
SIDE = 256
#: Largest value of a normalized pixel. Beyond, the likelihood of one pixel outweighs
#: all others, and its gradient upsets the training.
BRIGHTEST = 30.0
#: Number of scenes that are drawn together: a GPU draws many as fast as few.
TOGETHER = {"cuda": 224}
TOGETHER_ELSEWHERE = 14


class Pool:
    """Clean scenes, of which some are replaced now and then.

    Parameters
    ----------
    n : int
        Number of scenes, at least.
    generator : torch.Generator
        Source of randomness, on the device of the scenes.

    Attributes
    ----------
    together : int
        Number of scenes that `refresh` replaces.
    """

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.generator, self.device = generator, generator.device
        self.together = TOGETHER.get(self.device.type, TOGETHER_ELSEWHERE)
        parts = [self._drawn() for _ in range(-(-n // self.together))]
        self.clean = torch.cat(parts)
        self._oldest = 0

    def _drawn(self) -> Tensor:
        return scenes(self.together, SIDE, self.generator)

    def refresh(self) -> None:
        """Replace the oldest scenes by new ones."""
        part = slice(self._oldest, self._oldest + self.together)
        self.clean[part] = self._drawn()
        self._oldest = (self._oldest + self.together) % len(self.clean)

    def draw(self, n: int, side: int) -> Batch:
        """Return noisy crops with clean ones as targets, (n, 1, side, side).

        Both are in units of the noisy scene: mean 0 and deviation 1.
        """
        which = self._integers(len(self.clean), n)
        top, left = (self._integers(SIDE - side + 1, n) for _ in range(2))
        pixels = torch.arange(side, device=self.device)
        rows, columns = top[:, None] + pixels, left[:, None] + pixels
        scene = self.clean[which]
        crop = scene.gather(1, rows[:, :, None].expand(-1, -1, SIDE))
        crop = crop.gather(2, columns[:, None, :].expand(-1, side, -1))
        noisy = add_noise(crop, self.generator)
        mean = scene.mean((1, 2), keepdim=True)
        noise = (noisy - crop).square().mean((1, 2), keepdim=True)
        std = torch.sqrt(scene.var((1, 2), keepdim=True) + noise) + 1e-6
        # a single bright point in an empty scene has any brightness: rein it in
        x, clean = (
            ((i - mean) / std).clamp(-BRIGHTEST, BRIGHTEST)[:, None]
            for i in (noisy, crop)
        )
        return Batch(channels_last(x), channels_last(clean))

    def _integers(self, end: int, n: int) -> Tensor:
        return torch.randint(end, (n,), generator=self.generator, device=self.device)
