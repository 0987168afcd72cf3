"""Whether a network that is no longer anchored begins to take noise for signal.

White noise costs as many nats in the latents as in the decoder, so a long training
may move it there while the ELBO still improves, and held-out images cannot tell: they
are noisy, too. But the network has learned the law of the noise. So training crops are
drawn again when the anchor is let go, a posterior sample with fresh noise, of which the
signal is known; later weights should remove that noise as well as those did. (Ours; a
parametric bootstrap, Efron & Tibshirani, 1993, chapter 6.)
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from napari_cosdd.methods.base import GenerativeMethod
from napari_cosdd.nets.ladder_vae import fresh_noise

if TYPE_CHECKING:
    from napari_cosdd.training.run import TrainingRun

#: Samples of a mean.
SAMPLES = 4
#: Loss of dB that counts as none. Where noise was taken in it grew to 0.2 within a
#: thousand steps; where none was, it stayed below 0.06 (docs/measurements.md).
TOLERANCE = 0.1


class Redrawn(NamedTuple):
    """Crops of which the signal is known.

    Attributes
    ----------
    noisy, clean : Tensor, shape (n, c, *spatial)
        Normalized, on the CPU.
    removed : float
        dB of their noise that the network removed that drew them.
    """

    noisy: Tensor
    clean: Tensor
    removed: float


@torch.no_grad()
def redraw(method: GenerativeMethod, crops: Tensor, seed: int) -> Redrawn:
    """Draw the crops' signal from the posterior, and noise on it from the decoder.

    Parameters
    ----------
    method : GenerativeMethod
        With the weights that are trusted.
    crops : Tensor, shape (n, c, *spatial)
        Normalized, on the device of the method.
    seed : int
        Of signal and noise.
    """
    pairs = []
    for n, x in enumerate(crops.split(1)):  # one by one, as validation does
        latents, again, noise = (
            torch.Generator(x.device).manual_seed(seed + 2 * n + k) for k in (0, 0, 1)
        )
        features = method.encode(x)
        clean = method.sample_posterior(features, fresh_noise(latents))
        noisy = method.sample_noise(features, fresh_noise(again), noise)
        pairs.append((noisy.float().cpu(), clean.float().cpu()))
    noisy, clean = (torch.cat(part) for part in zip(*pairs, strict=True))
    return Redrawn(noisy, clean, noise_removed(method, noisy, clean, crops.device))


@torch.no_grad()
def noise_removed(
    method: GenerativeMethod, noisy: Tensor, clean: Tensor, device: torch.device
) -> float:
    """Return by how many dB the mean of a few samples, always the same, is better."""
    error = 0.0
    for n, x in enumerate(noisy.split(1)):
        noise = fresh_noise(torch.Generator(device).manual_seed(n))
        features = method.encode(x.to(device))
        drawn = [method.sample_posterior(features, noise) for _ in range(SAMPLES)]
        mean = torch.stack(drawn).mean(0).float().cpu()
        error += float((mean - clean[n]).square().sum())
    return float(10 * torch.log10((noisy - clean).square().sum() / error))


def look(run: "TrainingRun") -> tuple[bool, dict[str, float]]:
    """Tell whether averaged weights, in place, still see through the noise.

    Returns
    -------
    trusted : bool
        Never while the anchor holds: then the validation loss decides alone.
    measured : dict
        `redrawn`, dB removed; empty while the anchor holds.
    """
    method: Any = run.learner.method
    if not run.freed or not isinstance(method, GenerativeMethod):
        return False, {}
    if run.state.redrawn is None:
        crops = run.learner.tensor(run.patches.probes(run.config.seed))
        drawn = redraw(method, crops, run.config.seed)
        run.state.redrawn = drawn._asdict()
    before = Redrawn(**run.state.redrawn)
    removed = noise_removed(method, before.noisy, before.clean, run.device)
    removed = run.team.agree([removed], run.device)[0]
    return removed > before.removed - TOLERANCE, {"redrawn": removed}
