"""Ancestral sampling of x ~ p(x | z) from the autoregressive decoder.

Column after column, as matrix products: the rows of all images are the rows of a
matrix, channels of the image are its batch. Each layer keeps only the columns that its
taps reach back to, so the time is linear in the width and the memory constant.
"""

from collections import deque
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_cosdd.distributions.mixture import GaussianMixture
from napari_cosdd.nets.autoregressive import AutoregressiveDecoder


@torch.no_grad()
def sample_decoder(
    decoder: AutoregressiveDecoder,
    code: Tensor,
    floor: float | Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Draw x ~ p(x | z), each column given the columns before it.

    Parameters
    ----------
    decoder : AutoregressiveDecoder
        Gives p(x_i | x_<i, z).
    code : Tensor, shape (n, code, *spatial)
        The signal code.
    floor : float or Tensor of shape (c, 1, 1, 1)
        Smallest deviation of the mixture, normalized units.
    generator : torch.Generator
        Source of randomness.

    Returns
    -------
    Tensor, shape (n, c, *spatial)
    """
    if decoder.receptive_field == 0:  # no pixel waits for another one
        blank = code.new_zeros(len(code), decoder.n_image_channels, *code.shape[2:])
        location, parameters = decoder(blank, code)
        mixture = GaussianMixture.from_parameters(location, parameters, floor)
        return decoder.unrows(mixture.sample(generator).to(code.dtype), blank.shape)
    location = decoder.rows(decoder.location(code))
    x = sample_columns(decoder, location, decoder.rows(code), floor, generator)
    return decoder.unrows(x, (*x.shape[:2], *code.shape[2:]))


class CausalColumns:
    """A causal convolution that is fed one column after the other.

    Columns have the shape (groups, rows of all images, features of a group).
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        self.kernel = as_matrices(conv)
        self.dilation = conv.dilation[1]
        self._reach = (conv.kernel_size[1] - 1) * self.dilation
        self._seen: deque[Tensor] = deque(maxlen=self._reach + 1)

    def __call__(self, column: Tensor, given: Tensor) -> Tensor:
        """Return what is convolved at this column, without its bias, plus `given`."""
        while len(self._seen) < self._reach:  # zeros lie before the row
            self._seen.append(torch.zeros_like(column))
        self._seen.append(column)
        taps = list(self._seen)[:: self.dilation]
        return torch.baddbmm(given, torch.cat(taps, -1), self.kernel)


def as_matrices(conv: nn.Conv2d) -> Tensor:
    """Return a kernel along x as matrices, (groups, taps * inputs, outputs)."""
    kernel = conv.weight.squeeze(2).unflatten(0, (conv.groups, -1))
    return kernel.permute(0, 3, 2, 1).flatten(1, 2)


def bias_of(conv: Any) -> Tensor:
    """Return a bias as one row for each group's matrix, (groups, 1, outputs)."""
    bias: Tensor = conv.bias
    return bias.unflatten(0, (conv.groups, 1, -1))


def sample_columns(
    decoder: AutoregressiveDecoder,
    location: Tensor,
    coded: Tensor,
    floor: float | Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Draw rows of x, each column given the columns before it.

    Parameters
    ----------
    decoder : AutoregressiveDecoder
        With a receptive field of at least one pixel.
    location : Tensor, shape (n, c, rows, x)
        Locations of the mixture, which the code gives.
    coded : Tensor, shape (n, code, rows, x)
        The code's rows.
    floor, generator
        As in `sample_decoder`.

    Returns
    -------
    Tensor, shape of `location`
    """
    groups, (n, _, rows, length) = decoder.n_image_channels, location.shape
    convs: list[Any] = [layer.conv for layer in (decoder.entry, *decoder.causal)]
    layers = [CausalColumns(conv) for conv in convs]
    pointwise: list[Any] = [*decoder.project, decoder.head]
    *projections, head = [(as_matrices(conv), bias_of(conv)) for conv in pointwise]
    # The code of a column tells all layers at once what to add, their biases with it.
    condition = as_matrices(decoder.condition)[0]
    bias = bias_of(decoder.condition).flatten() + torch.cat([c.bias for c in convs])
    codes = coded.permute(3, 0, 2, 1).flatten(1, 2)

    x = torch.empty_like(location)
    residual = location.new_zeros(groups, n * rows, 1)
    for i in range(length):
        given = torch.addmm(bias, codes[i], condition)
        given = given.unflatten(1, (len(layers), groups, -1)).permute(1, 2, 0, 3)
        h = layers[0](residual, given[0])
        for layer, told, (kernel, row) in zip(
            layers[1:], given[1:], projections, strict=True
        ):
            h = torch.baddbmm(h + row, F.relu(layer(F.relu(h), told)), kernel)
        parameters = torch.baddbmm(head[1], F.relu(h), head[0])
        parameters = parameters.unflatten(1, (n, rows)).permute(1, 0, 3, 2)
        here = slice(i, i + 1)
        mixture = GaussianMixture.from_parameters(
            location[..., here],
            decoder.parameters_of(parameters.flatten(1, 2)[..., None]),
            floor,
        )
        x[..., here] = mixture.sample(generator)
        residual = x[..., i] - location[..., i]
        residual = residual.transpose(0, 1).reshape(groups, n * rows, 1)
    return x
