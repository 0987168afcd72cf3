"""The power of an image's signal, estimated from the noisy image alone."""

from torch import Tensor

from napari_cosdd.methods.values import weighted_mean

#: Smallest power of the signal, as a share of all, at which collapse is judged.
WEAKEST = 0.03
#: Smallest power of the signal, in standard errors, at which collapse is judged.
SURE = 4
#: Explained share of the signal's power below which the latents have collapsed.
COLLAPSED = 0.4


def signal_power(
    x: Tensor, axis: int, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the signal's power and its standard error.

    Neighbouring rows share the signal and no noise, so their covariance is the
    signal's power. (Ours; the paper only speaks of collapse.)

    Parameters
    ----------
    x : Tensor, shape (n, c, *spatial)
        Noisy, normalized.
    axis : int
        Axis of `x` across the noise.
    weight : Tensor or None
        As in `Batch`: a pair of pixels counts if both do.
    """

    def pairs(values: Tensor) -> Tensor:
        length = values.shape[axis] - 1
        return values.narrow(axis, 0, length) * values.narrow(axis, 1, length)

    products = pairs(x)
    counting = None if weight is None else pairs(weight.expand_as(x))
    power = weighted_mean(products, counting)
    # Noise may be correlated within a row, so a whole row counts as one observation.
    deviations = products - power
    if counting is None:
        rows = deviations.movedim(axis, 1).flatten(2).mean(2)
        return power, rows.square().sum().sqrt() / rows.numel()
    rows = (deviations * counting).movedim(axis, 1).flatten(2).sum(2)
    return power, rows.square().sum().sqrt() / counting.sum().clamp(min=1)


def has_collapsed(explained: float, power: float, error: float) -> bool:
    """Whether the latents ignore the signal, judged by the power they explain.

    A working code explains about the signal's power or more; a collapsed one explains
    almost none.

    Parameters
    ----------
    explained, power, error : float
        Power that the code explains, power of the signal, and standard error of the
        latter.
    """
    if power < max(WEAKEST, SURE * error):
        return False  # hardly any signal to explain
    return explained < COLLAPSED * power
