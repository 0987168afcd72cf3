"""Whether a network that is no longer anchored begins to take noise for signal.

White noise costs as many nats in the latents as in the decoder, so a long training
may move it there while the ELBO still improves, and held-out images cannot tell: they
are noisy, too. But the network has learned the law of the noise. So training crops are
drawn again as the anchor is let go, a posterior sample with fresh noise, of which the
signal is known; later weights should remove that noise as well as those did. (Ours; a
parametric bootstrap, Efron & Tibshirani, 1993, chapter 6.)
"""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from napari_cosdd.methods.base import GenerativeMethod
from napari_cosdd.nets.ladder_vae import fresh_noise

if TYPE_CHECKING:
    from napari_cosdd.training.run import TrainingRun

#: Samples of a mean, and the first seed of their latents, beyond all that draw crops;
#: of more than 32 bits a CPU's generator would take the last ones.
SAMPLES, JUDGING = 4, 3 << 30
#: Loss of dB that counts as none (docs/measurements.md).
TOLERANCE = 0.1


@torch.no_grad()
def redraw(method: GenerativeMethod, crops: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the crops' signal from the posterior, and noise on it from the decoder.

    Parameters
    ----------
    method : GenerativeMethod
        With the weights that are trusted.
    crops : Tensor, shape (n, c, *spatial)
        Normalized, on the device of the method.
    seed : int
        Of signal and noise.

    Returns
    -------
    noisy, clean : Tensor, shape (n, c, *spatial)
        Normalized, on the CPU.
    """
    noisy, clean = [], []
    for n, x in enumerate(crops.split(1)):  # one by one, as validation does
        latents, again, noise = (
            torch.Generator(x.device).manual_seed(seed + 2 * n + k) for k in (0, 0, 1)
        )
        features = method.encode(x)
        clean.append(method.sample_posterior(features, fresh_noise(latents)))
        noisy.append(method.sample_noise(features, fresh_noise(again), noise))
    return torch.cat(noisy).float().cpu(), torch.cat(clean).float().cpu()


@torch.no_grad()
def noise_removed(
    method: GenerativeMethod, noisy: Tensor, clean: Tensor, device: torch.device
) -> float:
    """Return by how many dB the mean of a few samples, always the same, is better."""
    error = 0.0
    for n, x in enumerate(noisy.split(1)):
        noise = fresh_noise(torch.Generator(device).manual_seed(JUDGING + n))
        features = method.encode(x.to(device))
        drawn = [method.sample_posterior(features, noise) for _ in range(SAMPLES)]
        mean = torch.stack(drawn).mean(0).float().cpu()
        error += float((mean - clean[n]).square().sum())
    return float(10 * torch.log10((noisy - clean).square().sum() / error))


def draw_reference(run: "TrainingRun") -> None:
    """Draw training crops again, as the averaged weights see them when let go."""
    crops = run.learner.tensor(run.patches.probes(run.config.seed))
    run.learner.average.swap()
    try:
        noisy, clean = redraw(_drawing(run), crops, run.config.seed)
        removed = noise_removed(_drawing(run), noisy, clean, run.device)
    finally:
        run.learner.average.swap()
    removed = run.team.agree([removed], run.device)[0]
    run.state.redrawn = {"noisy": noisy, "clean": clean, "removed": removed}
    run.state.stale = 0


def look(run: "TrainingRun") -> tuple[float, bool]:
    """Return the dB removed by the weights in place, and whether that is enough."""
    before: Any = run.state.redrawn
    removed = noise_removed(_drawing(run), before["noisy"], before["clean"], run.device)
    removed = run.team.agree([removed], run.device)[0]
    return removed, removed > before["removed"] - TOLERANCE


def _drawing(run: "TrainingRun") -> GenerativeMethod:
    return cast(GenerativeMethod, run.learner.method)
