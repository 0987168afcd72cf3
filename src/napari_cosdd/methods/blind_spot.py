"""What methods share that predict a pixel without seeing it (Noise2Void, CVPR 2019)."""

from itertools import chain, product

import torch
from torch import Tensor

from napari_cosdd.devices import constant

#: Largest distance of the pixel whose value replaces a masked one.
NEIGHBOURHOOD = 2


def point_targets(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return random target pixels, (n, 1, *spatial), boolean; one at least."""
    shape = (x.shape[0], 1, *x.shape[2:])
    random = torch.rand(shape, generator=generator, device=x.device)
    return (random < share) | (random == random.amin())


def some_points(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return flat positions of random target pixels, (n, m), one at least per image.

    Their number is fixed, so that only targets need to be computed with.
    """
    pixels = x[0, 0].numel()
    random = torch.rand(x.shape[0], pixels, generator=generator, device=x.device)
    return random.topk(max(1, round(share * pixels)), dim=1).indices


def steps_around(ndim: int) -> list[tuple[int, ...]]:
    """Return the offsets of the pixels near a target, itself left out."""
    near = range(-NEIGHBOURHOOD, NEIGHBOURHOOD + 1)
    return [step for step in product(near, repeat=ndim) if any(step)]


def neighbours(
    x: Tensor, steps: list[tuple[int, ...]], generator: torch.Generator
) -> Tensor:
    """Return for every pixel the value of another one, one of `steps` away.

    What lies beyond the image is taken from as far on the other side. Steps of more
    than half the image, which may lie beyond it on both sides, are left out.
    """
    shape = (x.shape[0], *x.shape[2:])
    steps = [
        step
        for step in steps
        if all(abs(s) <= n // 2 for s, n in zip(step, shape[1:], strict=True))
    ]
    choice = torch.randint(len(steps), shape, generator=generator, device=x.device)
    offsets = constant(tuple(chain.from_iterable(steps)), x.device, torch.int64)
    chosen = offsets.reshape(len(steps), -1)[choice]
    flat = torch.zeros_like(choice)
    for axis, length in enumerate(shape[1:]):
        along = [-1 if a == axis else 1 for a in range(len(shape) - 1)]
        here, step = torch.arange(length, device=x.device), chosen[..., axis]
        at = here.reshape(along) + step
        at = torch.where((at < 0) | (at > length - 1), at - 2 * step, at)
        flat = flat * length + at
    index = flat.flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(2, index).reshape(x.shape)
