"""Detection of networks that, once freed, begin to encode noise as signal.

White noise costs as many nats in the latents as in the decoder, so a long training may
move noise into the latents while the ELBO still improves. Held-out images are noisy
themselves and cannot show it. But the model can draw noise. So when the networks are
freed, it redraws training crops: posterior samples, whose signal is known, with fresh
noise. Later weights must remove that noise about as well as the weights at that time.
(Ours; a parametric bootstrap, Efron & Tibshirani, 1993, chapter 6.)
"""

import torch
from torch import Tensor

from napari_cosdd.methods.capabilities import DrawsNoise, SamplesSignal
from napari_cosdd.nets.ladder_vae import fresh_noise
from napari_cosdd.training.state import Reference

#: Number of posterior samples in the mean that is compared.
SAMPLES = 4
#: First seed of the latent noise in a test, above all seeds that redraw crops. It is
#: below 2^32, since a CPU's generator uses only the last 32 bits of a seed.
LOOK_SEED = 3 << 30
#: Decrease of the removed noise that is tolerated, dB (docs/measurements.md).
TOLERANCE = 0.1
#: Number of validations in a row without weights to keep, after which a training with
#: freed networks ends: in all measured trainings, none followed later.
LEAKAGE_PATIENCE = 20


@torch.no_grad()
def draw_reference(method: DrawsNoise, crops: Tensor, seed: int) -> Reference:
    """Redraw crops, and measure how well the present weights denoise them.

    Parameters
    ----------
    method : DrawsNoise
        The method with trusted weights.
    crops : Tensor, shape (n, c, *spatial)
        Normalized training crops, on the device of the method.
    seed : int
        Seed of signal and noise.
    """
    noisy, clean = redraw(method, crops, seed)
    return Reference(noisy, clean, noise_removed(method, noisy, clean, crops.device))


@torch.no_grad()
def redraw(method: DrawsNoise, crops: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the crops' signal from the posterior, and add noise from the decoder.

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
    """Return the gain in PSNR of the mean of a few samples over `noisy`, dB.

    Each call uses the same latent noise.
    """
    error = 0.0
    for n, x in enumerate(noisy.split(1)):
        noise = fresh_noise(torch.Generator(device).manual_seed(LOOK_SEED + n))
        features = method.encode(x.to(device))
        samples = [
            method.sample_posterior(features, noise).signal for _ in range(SAMPLES)
        ]
        mean = torch.stack(samples).mean(0).float().cpu()
        error += float((mean - clean[n]).square().sum())
    return float(10 * torch.log10((noisy - clean).square().sum() / error))


def is_trusted(removed: float, reference: Reference) -> bool:
    """Whether weights that remove this much noise (dB) still match the reference."""
    return removed > reference.removed - TOLERANCE
