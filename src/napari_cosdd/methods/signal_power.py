"""The power of an image's signal, told from the noisy image alone."""

from torch import Tensor

#: Power of the signal, of all, below which a collapse cannot be told.
WEAKEST = 0.03
#: Standard errors by which there must be more.
SURE = 4
#: Share of the signal's power below which latents that explain it have collapsed.
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
        Of `x`, across the noise.
    """
    length = x.shape[axis] - 1
    pairs = x.narrow(axis, 0, length) * x.narrow(axis, 1, length)
    # Noise may be correlated within a row, so a whole row is one witness.
    rows = pairs.movedim(axis, 1).flatten(2).mean(2)
    return pairs.mean(), rows.std() / rows.numel() ** 0.5


def has_collapsed(explained: float, power: float, error: float) -> bool:
    """Tell whether latents that explain so much power ignore the signal.

    A working code explains at least about the signal's power; a collapsed one
    explains next to nothing.

    Parameters
    ----------
    explained, power, error : float
        Power that the code explains, that of the signal, and its standard error.
    """
    if power < max(WEAKEST, SURE * error):
        return False  # hardly any signal to explain
    return explained < COLLAPSED * power
