"""The autoregressive decoder p(x | z): causal convolutions along one axis.

COSDD, section 4.1 and equation 5. It can model noise along a row and, seeing no
other row, cannot model the signal, which the latents must then carry.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_cosdd.nets.blocks import conv, zero

TAPS = 3


def dilations(receptive_field: int, n_layers: int) -> list[int]:
    """Return the dilation of each layer so that together they see `receptive_field`.

    The first layer sees the `TAPS` pixels before its own. Later ones widen that
    without holes: no dilation is larger than what the layers before it cover. A
    dilation of 0 marks a pointwise layer: the receptive field is reached.

    Parameters
    ----------
    receptive_field : int
        Earlier pixels of the row that the decoder is to see. 0: none.
    n_layers : int
        Layers; at most TAPS**n_layers pixels can be covered.

    Returns
    -------
    list of int
        One dilation a layer.

    Raises
    ------
    ValueError
        If `n_layers` cannot reach so far.
    """
    if receptive_field > TAPS**n_layers:
        raise ValueError(
            f"{n_layers} layers see at most {TAPS**n_layers} pixels, "
            f"not {receptive_field}: use more layers"
        )
    if receptive_field == 0:
        return [0] * n_layers
    for step in range(81):
        layers = _grow(receptive_field, n_layers, 1 + (TAPS - 1) * step / 80)
        if covered(layers) >= receptive_field:
            return layers
    raise AssertionError("unreachable: growth by TAPS covers TAPS**n_layers")


def layers_for(receptive_field: int) -> int:
    """Return the fewest layers that can see so far."""
    n_layers = 1
    while TAPS**n_layers < receptive_field:
        n_layers += 1
    return n_layers


def _grow(receptive_field: int, n_layers: int, growth: float) -> list[int]:
    layers = [1]
    for i in range(1, n_layers):
        missing = receptive_field - covered(layers)
        needed = -(-missing // (TAPS - 1))
        layers.append(max(0, min(covered(layers), round(growth**i), needed)))
    return layers


def covered(layers: Sequence[int]) -> int:
    """Return the earlier pixels that layers of these dilations see together."""
    return 1 + sum((TAPS - 1) * d for d in layers) if any(layers) else 0


class CausalConv(nn.Module):
    """A convolution along the last axis that sees this and earlier positions only.

    Channels of the image are kept apart by groups. Works on (n, c, rows, x).
    """

    def __init__(self, n_in: int, n_out: int, dilation: int, groups: int) -> None:
        super().__init__()
        taps = TAPS if dilation else 1
        self.dilation = dilation
        self.reach = (taps - 1) * dilation
        self.conv = nn.Conv2d(
            n_in, n_out, (1, taps), dilation=(1, max(1, dilation)), groups=groups
        )

    def forward(self, h: Tensor) -> Tensor:
        """Return features of the same length; before the row starts lie zeros."""
        return self.conv(F.pad(h, (self.reach, 0)))


class AutoregressiveDecoder(nn.Module):
    """Mixture parameters of p(x_i | x_<i in the same row, z).

    The rows enter as residuals from a location that the code gives, so the latents
    carry the signal from the first step: the decoder starts as a plain Gaussian
    around that location, and learns the correlations of what is left. Measured in
    docs/measurements.md: without it training collapses more easily.

    Parameters
    ----------
    axis : int or None
        Spatial axis along which the noise is correlated; None switches the
        autoregression off.
    n_image_channels, n_code : int
        Channels of the image and of the signal code.
    n_channels, n_layers : int
        Features per image channel, and causal layers.
    n_components : int
        Gaussians of the mixture.
    receptive_field : int
        Earlier pixels that must be seen.
    """

    def __init__(
        self,
        ndim: int,
        axis: int | None,
        n_image_channels: int,
        *,
        n_code: int,
        n_channels: int,
        n_layers: int,
        n_components: int,
        receptive_field: int,
    ) -> None:
        super().__init__()
        self.axis = axis
        self.n_image_channels = groups = n_image_channels
        self.n_components = n_components
        layers = dilations(receptive_field if axis is not None else 0, n_layers)
        self.receptive_field = covered(layers)
        features = n_channels * groups
        self.location = conv(ndim, n_code, groups, 1)
        self.condition = nn.Conv2d(n_code, features * n_layers, 1)
        self.entry = CausalConv(groups, features, layers[0], groups)
        self.causal = nn.ModuleList(
            CausalConv(features, features, dilation, groups) for dilation in layers[1:]
        )
        self.project = nn.ModuleList(
            zero(nn.Conv2d(features, features, 1, groups=groups)) for _ in layers[1:]
        )
        self.head = zero(
            nn.Conv2d(features, 3 * n_components * groups, 1, groups=groups)
        )
        self._spread_components()

    def _spread_components(self) -> None:
        """Start with the components apart, so that they can tell themselves apart."""
        bias = torch.zeros(self.n_image_channels, 3, self.n_components)
        bias[:, 1] = torch.linspace(-0.2, 0.2, self.n_components + 2)[1:-1]
        self.head.bias = nn.Parameter(bias.flatten())

    def rows(self, h: Tensor) -> Tensor:
        """Turn (n, c, *spatial) into (n, c, rows, x) with the noise axis last."""
        axis = -1 if self.axis is None else self.axis + 2
        moved = h.movedim(axis, -1)
        return moved.reshape(*moved.shape[:2], -1, moved.shape[-1])

    def unrows(self, h: Tensor, shape: Sequence[int]) -> Tensor:
        """Undo `rows` for an image of `shape` (n, c, *spatial)."""
        axis = -1 if self.axis is None else self.axis + 2
        moved = list(shape[2:])
        length = moved.pop(axis - 2 if axis > 0 else -1)
        return h.reshape(*h.shape[:2], *moved, length).movedim(-1, axis)

    def forward(
        self, x: Tensor, code: Tensor, *, closed: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the mixture's location (n, c, rows, x) and its raw parameters.

        With the view closed, no earlier pixels are seen.

        The parameters have shape (n, c, 3, components, rows, x): logits, offsets
        from the location, and scales before their floor.
        """
        with torch.autocast(x.device.type, enabled=False):
            # Half precision would round by as much as weak noise deviates.
            location = self.rows(self.location(code.to(x.dtype)))
        residual = F.pad(self.rows(x) - location, (1, 0))[..., :-1]
        if closed or self.receptive_field == 0:
            residual = torch.zeros_like(residual)
        coded = self.rows(code)
        h = self.entry(residual) + self._condition(coded, 0)
        for i, (causal, project) in enumerate(
            zip(self.causal, self.project, strict=True), start=1
        ):
            given = self._condition(coded, i)
            h = h + project(F.relu(causal(F.relu(h)) + given))
        with torch.autocast(x.device.type, enabled=False):
            return location, self.parameters_of(self.head(F.relu(h.to(x.dtype))))

    def _condition(self, coded: Tensor, i: int) -> Tensor:
        """Return what the code's rows tell layer `i`.

        Layer by layer: the gradients of all together would have to be put together
        from their parts, which takes a seventh of a training step.
        """
        n = self.condition.out_channels // (len(self.causal) + 1)
        part = slice(i * n, (i + 1) * n)
        bias = None if self.condition.bias is None else self.condition.bias[part]
        weight = self.condition.weight[part]
        if weight.device.type == "mps":  # Metal may ignore where a view begins
            weight = weight.clone()
        return F.conv2d(coded, weight, bias)

    def parameters_of(self, channels: Tensor) -> Tensor:
        """Split the channels of the head: (n, c, 3, components, rows, x)."""
        return channels.unflatten(1, (self.n_image_channels, 3, self.n_components))
