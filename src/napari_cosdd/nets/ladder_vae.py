"""The ladder VAE: encoder, prior and top-down decoder in one hierarchy.

COSDD, section 5.2, and the preprint's supplement, section 1.1; the ladder follows
Sønderby et al. (2016).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from napari_cosdd.distributions.gaussian import DiagonalGaussian
from napari_cosdd.nets.blocks import (
    conv,
    downsample,
    nearly_zero,
    residual_blocks,
    strides,
    upsample,
    zero,
)

#: Gives standard normal noise of a shape for a level: (level, shape) -> tensor.
LatentNoise = Callable[[int, torch.Size], Tensor]
#: Deeper levels keep the resolution: fewer pixels than that say nothing more.
MAX_HALVINGS = 6


def fresh_noise(generator: torch.Generator) -> LatentNoise:
    """Return latent noise for training: new at every call."""
    return lambda level, shape: torch.randn(
        shape, generator=generator, device=generator.device
    )


class Latents(NamedTuple):
    """What a pass through the ladder yields.

    Attributes
    ----------
    code : Tensor, shape (n, code, *spatial)
        The signal code, at the resolution of the image.
    kl : list of Tensor, each of shape (n, *spatial of its level)
        KL(q‖p) in nats, summed over the latents of a position, from the lowest level
        to the top. Empty when the latents were drawn from the prior.
    """

    code: Tensor
    kl: list[Tensor]


class StochasticLevel(nn.Module):
    """One rung: prior p(z_i | z_>i), posterior q(z_i | z_>i, x), and their merge.

    Both start near the standard normal distribution: otherwise the KL of many latents
    is several nats per pixel, and to lower it is all that a large network learns.
    """

    def __init__(self, ndim: int, n_channels: int, n_latents: int, n_blocks: int):
        super().__init__()
        self.prior = zero(conv(ndim, n_channels, 2 * n_latents, kernel=1))
        self.merge: Any = conv(ndim, 2 * n_channels, n_channels, kernel=1)
        self.posterior = nearly_zero(conv(ndim, n_channels, 2 * n_latents, kernel=3))
        self.embed = conv(ndim, n_latents, n_channels, kernel=1)
        self.decode = residual_blocks(ndim, n_channels, n_blocks)

    def p(self, state: Tensor) -> DiagonalGaussian:
        """Return p(z_i | z_>i) from the top-down state."""
        return DiagonalGaussian.from_channels(self.prior(state))

    def seen(self, features: Tensor) -> Tensor:
        """Return what bottom-up features add to the merge: the same for all samples."""
        return self._half(features, slice(features.shape[1], None), self.merge.bias)

    def q(self, state: Tensor, seen: Tensor) -> DiagonalGaussian:
        """Return q(z_i | z_>i, x) from the top-down state and what `seen` gave."""
        own = self._half(state, slice(0, state.shape[1]), None)
        return DiagonalGaussian.from_channels(self.posterior(F.silu(own + seen)))

    def _half(self, h: Tensor, channels: slice, bias: Tensor | None) -> Tensor:
        """Apply the part of the merge's kernel that is for state or for features."""
        convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[h.ndim - 3]
        kernel: Tensor = self.merge.weight
        return convolve(h, kernel[:, channels], bias)

    def forward(self, state: Tensor, z: Tensor) -> Tensor:
        """Return the state below this level; the state skips the latents."""
        return self.decode(state + self.embed(z))


class LadderVAE(nn.Module):
    """A hierarchy of latents with a bottom-up and a top-down pass.

    Parameters
    ----------
    ndim : int
        Spatial axes: 1, 2 or 3.
    n_image_channels : int
        Channels of the image.
    n_channels : int
        Features of every hidden layer.
    n_latents : int
        Latent channels of every level.
    n_code : int
        Channels of the signal code.
    n_levels : int
        Levels of latents.
    n_blocks, n_blocks_up : int
        Residual blocks of each level from the top down and from the image up.
    stem_stride : {1, 2}
        2 keeps the lowest level at half resolution: four times cheaper.
    downsample_every : int
        Levels between two halvings; 2 is "every other level".
    blind_levels : int
        Lowest levels whose posterior does not see the image (HDN36).
    """

    def __init__(
        self,
        ndim: int,
        n_image_channels: int,
        *,
        n_channels: int,
        n_latents: int,
        n_code: int,
        n_levels: int,
        n_blocks: int,
        n_blocks_up: int,
        stem_stride: int,
        downsample_every: int,
        blind_levels: int = 0,
    ) -> None:
        super().__init__()
        self.ndim, self.blind_levels = ndim, blind_levels
        #: Compute hidden features again in the backward pass instead of keeping them.
        self.checkpointing = False
        self.stem = conv(ndim, n_image_channels, n_channels, 5, stem_stride)
        self.top = nn.Parameter(torch.zeros(1, n_channels, *(1,) * ndim))
        #: Whether the resolution is halved between level i and level i + 1.
        self.halved = [
            (i + 1) % downsample_every == 0
            and (i + 1) // downsample_every <= MAX_HALVINGS
            for i in range(n_levels - 1)
        ]
        self.level_strides = _level_strides(stem_stride, self.halved)
        self.bottom_up = nn.ModuleList(
            residual_blocks(ndim, n_channels, n_blocks_up) for _ in range(n_levels)
        )
        self.levels = nn.ModuleList(
            StochasticLevel(ndim, n_channels, n_latents, n_blocks)
            for _ in range(n_levels)
        )
        self.down = nn.ModuleList(
            downsample(ndim, n_channels, n_channels) if halved else nn.Identity()
            for halved in self.halved
        )
        self.up = nn.ModuleList(
            upsample(ndim, n_channels, n_channels) if halved else nn.Identity()
            for halved in self.halved
        )
        self.code = (
            upsample(ndim, n_channels, n_code)
            if stem_stride == 2
            else conv(ndim, n_channels, n_code, 1)
        )

    @property
    def multiple(self) -> tuple[int, ...]:
        """Size per axis that an image must be a multiple of, in pixels."""
        return strides(self.ndim, self.level_strides[-1])

    def encode(self, x: Tensor) -> list[Tensor]:
        """Bottom-up pass: what each level has seen of the image, for all samples."""
        h = self.stem(x)
        features = []
        for i, blocks in enumerate(self.bottom_up):
            h = self._run(blocks, h)
            level: Any = self.levels[i]
            unseen = i < self.blind_levels
            features.append(level.seen(torch.zeros_like(h) if unseen else h))
            if i < len(self.down):
                h = self.down[i](h)
        return features

    def sample_posterior(
        self, features: Sequence[Tensor], noise: LatentNoise, *, with_kl: bool = True
    ) -> Latents:
        """Top-down pass with z ~ q(z | x), `features` from `encode`.

        Without the KL the prior is not computed: samples do not need it. Then blind
        levels take their mean, since what they draw is no signal.
        """
        state = self.top.expand_as(features[-1])
        kl: list[Tensor] = []
        for i in reversed(range(len(self.levels))):
            level: Any = self.levels[i]
            q = level.q(state, features[i])
            if with_kl:
                kl.insert(0, q.kl(level.p(state)).sum(1))
            is_mean = i < self.blind_levels and not with_kl
            z = q.loc if is_mean else q.rsample(noise(i, q.loc.shape))
            state = self._below(i, self._run(level, state, z))
        return Latents(self.code(state), kl)

    def sample_prior(self, n: int, size: Sequence[int], noise: LatentNoise) -> Latents:
        """Top-down pass with z ~ p(z), for `n` images of `size` pixels per axis.

        The size is a multiple of `multiple`.
        """
        top = [s // m for s, m in zip(size, self.multiple, strict=True)]
        state = self.top.expand(n, -1, *top)
        for i in reversed(range(len(self.levels))):
            level: Any = self.levels[i]
            p = level.p(state)
            state = self._below(i, level(state, p.rsample(noise(i, p.loc.shape))))
        return Latents(self.code(state), [])

    def _run(self, module: nn.Module, *inputs: Tensor) -> Tensor:
        """Apply a module, keeping its features for the backward pass or not."""
        if self.checkpointing and torch.is_grad_enabled():
            # the modules draw nothing: noise is among the inputs
            return checkpoint(
                module, *inputs, use_reentrant=False, preserve_rng_state=False
            )
        return module(*inputs)

    def _below(self, i: int, state: Tensor) -> Tensor:
        return self.up[i - 1](state) if i > 0 else state


def _level_strides(stem_stride: int, halved: Sequence[bool]) -> list[int]:
    result = [stem_stride]
    for half in halved:
        result.append(result[-1] * (2 if half else 1))
    return result
