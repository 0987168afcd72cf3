"""Ancestral sampling of x ~ p(x | z) from the autoregressive decoder.

Column after column, as matrix products: the rows of all images are the rows of a
matrix, channels of the image are its batch. Each layer keeps only the columns that its
taps reach back to, so the time is linear in the width and the memory constant. On a
GPU, the work of a column is recorded as a CUDA graph and replayed.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_cosdd.cuda_graphs import GraphRecorder
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
    columns = Columns(decoder, location, decoder.rows(code), floor)
    recorder = GraphRecorder(generator, enabled=code.device.type == "cuda")
    for _ in range(location.shape[-1]):
        recorder.run("column", lambda: columns.draw_next(recorder.generator))
    return decoder.unrows(columns.x, (*columns.x.shape[:2], *code.shape[2:]))


class CausalColumns:
    """A causal convolution that is fed one column after the other.

    Columns have the shape (groups, rows of all images, features of a group).
    """

    def __init__(self, conv: nn.Conv2d, n_rows: int) -> None:
        self.kernel = as_matrices(conv)
        self.dilation = conv.dilation[1]
        self.n_in = conv.in_channels // conv.groups
        length = (conv.kernel_size[1] - 1) * self.dilation + 1
        #: The columns that the taps reach, the newest last; zeros lie before the row.
        self.seen = conv.weight.new_zeros(conv.groups, n_rows, length * self.n_in)

    def __call__(self, column: Tensor, given: Tensor) -> Tensor:
        """Return what is convolved at this column, without its bias, plus `given`."""
        if self.seen.shape[-1] > self.n_in:
            self.seen[..., : -self.n_in] = self.seen[..., self.n_in :].clone()
        self.seen[..., -self.n_in :] = column
        taps = self.seen
        if self.dilation > 1:
            taps = taps.unflatten(2, (-1, self.n_in))[:, :, :: self.dilation].flatten(2)
        return torch.baddbmm(given, taps, self.kernel)


def as_matrices(conv: nn.Conv2d) -> Tensor:
    """Return a kernel along x as matrices, (groups, taps * inputs, outputs)."""
    kernel = conv.weight.squeeze(2).unflatten(0, (conv.groups, -1))
    return kernel.permute(0, 3, 2, 1).flatten(1, 2)


def bias_of(conv: Any) -> Tensor:
    """Return a bias as one row for each group's matrix, (groups, 1, outputs)."""
    bias: Tensor = conv.bias
    return bias.unflatten(0, (conv.groups, 1, -1))


class Columns:
    """Rows of x that are drawn column by column, each given those before it.

    Parameters
    ----------
    decoder : AutoregressiveDecoder
        With a receptive field of at least one pixel.
    location : Tensor, shape (n, c, rows, x)
        Locations of the mixture, which the code gives.
    coded : Tensor, shape (n, code, rows, x)
        The code's rows.
    floor : float or Tensor
        As in `sample_decoder`.

    Attributes
    ----------
    x : Tensor, shape of `location`
        What is drawn; columns to come are undefined.
    """

    def __init__(
        self,
        decoder: AutoregressiveDecoder,
        location: Tensor,
        coded: Tensor,
        floor: float | Tensor,
    ) -> None:
        self.decoder, self.location, self.floor = decoder, location, floor
        groups, (n, _, rows, _) = decoder.n_image_channels, location.shape
        convs: list[Any] = [layer.conv for layer in (decoder.entry, *decoder.causal)]
        self._layers = [CausalColumns(conv, n * rows) for conv in convs]
        pointwise: list[Any] = [*decoder.project, decoder.head]
        *self._projections, self._head = [
            (as_matrices(conv), bias_of(conv)) for conv in pointwise
        ]
        # The code of a column tells all layers at once what to add, with their biases.
        self._condition = as_matrices(decoder.condition)[0]
        biases = torch.cat([conv.bias for conv in convs])
        self._bias = bias_of(decoder.condition).flatten() + biases
        self._codes = coded.permute(3, 0, 2, 1).flatten(1, 2)
        self._residual = location.new_zeros(groups, n * rows, 1)
        self._next = torch.zeros(1, dtype=torch.int64, device=location.device)
        self.x = torch.empty_like(location)

    def draw_next(self, generator: torch.Generator) -> None:
        """Draw the next column; all that changes are tensors, in place."""
        groups, (n, _, rows, _) = self.decoder.n_image_channels, self.x.shape
        code = self._codes.index_select(0, self._next)[0]
        location = self.location.index_select(-1, self._next)
        given = torch.addmm(self._bias, code, self._condition)
        given = given.unflatten(1, (len(self._layers), groups, -1)).permute(1, 2, 0, 3)
        h = self._layers[0](self._residual, given[0])
        for layer, told, (kernel, row) in zip(
            self._layers[1:], given[1:], self._projections, strict=True
        ):
            h = torch.baddbmm(h + row, F.relu(layer(F.relu(h), told)), kernel)
        parameters = torch.baddbmm(self._head[1], F.relu(h), self._head[0])
        parameters = parameters.unflatten(1, (n, rows)).permute(1, 0, 3, 2)
        mixture = GaussianMixture.from_parameters(
            location,
            self.decoder.parameters_of(parameters.flatten(1, 2)[..., None]),
            self.floor,
        )
        column = mixture.sample(generator).to(self.x.dtype)
        self.x.index_copy_(-1, self._next, column)
        residual = (column - location)[..., 0]
        self._residual.copy_(residual.transpose(0, 1).reshape(groups, n * rows, 1))
        self._next += 1
