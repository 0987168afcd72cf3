"""Whether networks that are no longer anchored begin to take noise for signal.

White noise costs as many nats in the latents as in the decoder, so a long training
may move it there while the ELBO still improves, and held-out images cannot tell: they
are noisy, too. But the network has learned the law of the noise. So training crops are
drawn again when the anchor is let go, a posterior sample with fresh noise, of which
the signal is known; later weights should remove that noise as well as the weights did
then. (Ours; a parametric bootstrap, Efron & Tibshirani, 1993, chapter 6.)
"""

import torch
from torch import Tensor

from napari_cosdd.methods.capabilities import DrawsNoise, SamplesSignal
from napari_cosdd.nets.ladder_vae import fresh_noise
from napari_cosdd.training.state import Reference

#: Samples of a mean.
SAMPLES = 4
#: First seed of the latents of a look, beyond all seeds that draw crops. A CPU's
#: generator takes the last 32 bits of a seed only.
LOOK_SEED = 3 << 30
#: Loss of dB that counts as none (docs/measurements.md).
TOLERANCE = 0.1
#: Looks without weights to keep after which a training ends: by all that was seen none
#: follow.
LEAKAGE_PATIENCE = 20


@torch.no_grad()
def draw_reference(method: DrawsNoise, crops: Tensor, seed: int) -> Reference:
    """Draw crops again, and measure how well the present weights denoise them.

    Parameters
    ----------
    method : DrawsNoise
        With the weights that are trusted.
    crops : Tensor, shape (n, c, *spatial)
        Normalized training crops, on the device of the method.
    seed : int
        Of signal and noise.
    """
    noisy, clean = redraw(method, crops, seed)
    return Reference(noisy, clean, noise_removed(method, noisy, clean, crops.device))


@torch.no_grad()
def redraw(method: DrawsNoise, crops: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the crops' signal from the posterior, and noise on it from the decoder.

    Returns
    -------
    noisy, clean : Tensor, shape (n, c, *spatial)
        Normalized, on the CPU.
    """
    noisy, clean = [], []
    for n, x in enumerate(crops.split(1)):  # one by one, as validation does
        latents, noise = (
            torch.Generator(x.device).manual_seed(seed + 2 * n + k) for k in (0, 1)
        )
        draw = method.sample_posterior(method.encode(x), fresh_noise(latents))
        clean.append(draw.signal)
        noisy.append(method.sample_noise(draw, noise))
    return torch.cat(noisy).float().cpu(), torch.cat(clean).float().cpu()


@torch.no_grad()
def noise_removed(
    method: SamplesSignal, noisy: Tensor, clean: Tensor, device: torch.device
) -> float:
    """Return by how many dB the mean of a few samples is better than `noisy`.

    Samples have the same latent noise at each call.
    """
    error = 0.0
    for n, x in enumerate(noisy.split(1)):
        noise = fresh_noise(torch.Generator(device).manual_seed(LOOK_SEED + n))
        features = method.encode(x.to(device))
        drawn = [
            method.sample_posterior(features, noise).signal for _ in range(SAMPLES)
        ]
        mean = torch.stack(drawn).mean(0).float().cpu()
        error += float((mean - clean[n]).square().sum())
    return float(10 * torch.log10((noisy - clean).square().sum() / error))


def is_trusted(removed: float, reference: Reference) -> bool:
    """Whether weights that remove so many dB still see through the noise."""
    return removed > reference.removed - TOLERANCE
