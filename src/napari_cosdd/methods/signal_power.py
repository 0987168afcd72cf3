"""The power of an image's signal, estimated from the noisy image alone."""

from torch import Tensor

#: Smallest power of the signal, as a share of all, at which collapse is judged.
WEAKEST = 0.03
#: Smallest power of the signal, in standard errors, at which collapse is judged.
SURE = 4
#: Explained share of the signal's power below which the latents have collapsed.
COLLAPSED = 0.4


def signal_power(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return the signal's power and its standard error.

    Neighbouring rows share the signal and no noise, so their covariance is the
    signal's power. (Ours; the paper only speaks of collapse.)

    Parameters
    ----------
    x : Tensor, shape (n, c, *spatial)
        Noisy, normalized.
    axis : int
        Axis of `x` across the noise.
    """
    length = x.shape[axis] - 1
    pairs = x.narrow(axis, 0, length) * x.narrow(axis, 1, length)
    # Noise may be correlated within a row, so a whole row counts as one observation.
    rows = pairs.movedim(axis, 1).flatten(2).mean(2)
    return pairs.mean(), rows.std() / rows.numel() ** 0.5


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
