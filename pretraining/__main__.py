"""`python -m pretraining`: see `pretraining`."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.images.normalization import Normalization
from napari_cosdd.methods.cosdd import COSDD, COSDDConfig
from napari_cosdd.methods.values import Batch
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.nets.autoregressive import AutoregressiveDecoder, dilations
from napari_cosdd.nets.blocks import channels_last, weights_channels_last
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.optim import AveragedWeights, GradientGuard, cosine_rate
from napari_cosdd.training.stepper import BETAS
from pretraining.noises import add_noise
from pretraining.scenes import scene

OUTPUT = Path(__file__).parents[1] / "src/napari_cosdd/weights/cosdd.safetensors"
#: Scenes held at a time, and their side, pixels. One is drawn anew at each step.
POOL, SIDE = 160, 192
#: Crops of a step: number and side. Wide ones show the network a large image's inside.
SHAPES = ((8, 64), (3, 112))
#: Receptive fields trained in turn: those that two causal layers can have.
FIELDS = (5, 7, 9)
#: Weight of the error of the mean, squared normalized units, beside the ELBO in nats.
SUPERVISED = 5.0
#: Between two looks at the held-out scenes, steps; how many scenes.
EVERY, HELD_OUT = 1000, 24


class Pool:
    """Pairs of clean and noisy scenes, in units of the noisy scene's own levels."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.pairs = [self._pair(scene((SIDE, SIDE), rng)) for _ in range(n)]

    def _pair(self, clean: Any) -> tuple[Any, Any]:
        noisy = add_noise(clean, self.rng)
        mean, std = noisy.mean(), noisy.std() + 1e-6
        return (noisy - mean) / std, (clean - mean) / std

    def batch(self, n: int, side: int) -> tuple[Tensor, Tensor]:
        """Return noisy and clean crops, (n, 1, side, side); draw a scene anew."""
        at = int(self.rng.integers(len(self.pairs)))
        self.pairs[at] = self._pair(scene((SIDE, SIDE), self.rng))
        crops = []
        for i in self.rng.integers(0, len(self.pairs), n):
            y, x = self.rng.integers(0, SIDE - side + 1, 2)
            crops.append([p[y : y + side, x : x + side] for p in self.pairs[i]])
        noisy, clean = torch.from_numpy(np.array(crops, np.float32)).unbind(1)
        return channels_last(noisy[:, None]), channels_last(clean[:, None])


def objective(
    method: COSDD, x: Tensor, clean: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the negative ELBO, nats a pixel, and the squared error of the mean.

    The product of the errors of two independent samples has the squared error of the
    posterior's mean as its expectation: it asks for a right mean, and leaves the
    spread of the samples to the ELBO.
    """

    def noise(level: int, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=generator)

    features = method.encode(x)
    one, two = (method.ladder.sample_posterior(features, noise) for _ in range(2))
    nll = -method.likelihood(x, one.code).log_prob(method.decoder.rows(x)).mean()
    kl = torch.stack([level.mean() for level in one.kl]).sum() / x[0].numel()
    errors = [method.signal(latents.code) - clean for latents in (one, two)]
    return nll + kl + SUPERVISED * (errors[0] * errors[1]).mean()


def set_receptive_field(decoder: AutoregressiveDecoder, field: int) -> None:
    """Space the taps of the second causal layer as this receptive field has them."""
    layer: Any = decoder.causal[0]
    layer.dilation = dilations(field, 2)[1]
    layer.reach = 2 * layer.dilation
    layer.conv.dilation = (1, layer.dilation)


def main(
    steps: int = 40_000,
    seed: int = 0,
    threads: int = 2,
    rate: Annotated[float, typer.Option(help="Learning rate at its highest.")] = 0.004,
    start: Annotated[Path | None, typer.Option(help="Weights to go on from.")] = None,
    output: Path = OUTPUT,
) -> None:
    """Train the quick preset's networks on phantoms and write them.

    Until the end they are in a file beside the output, written at each look.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    config = COSDDConfig(noise_axis="x", receptive_field=max(FIELDS))
    spec = DataSpec(
        ndim=2, n_channels=1, normalization=Normalization(mean=(0,), std=(1,))
    )
    method = COSDD(config, spec)
    before = 0
    if start is not None:
        model = TrainedModel.load(start)
        method.load_state_dict(model.method.state_dict())
        before = int((model.trained_on.model_extra or {})["steps"])
    weights_channels_last(method)
    parameters = list(method.parameters())
    optimizer = torch.optim.Adam(parameters, rate, betas=BETAS, fused=True)
    average, guard = AveragedWeights(parameters, 0.999), GradientGuard(10)
    pool = Pool(POOL, np.random.default_rng(seed))
    held_out = Pool(HELD_OUT, np.random.default_rng(seed + 1)).batch(HELD_OUT, 128)
    output.parent.mkdir(exist_ok=True)
    unfinished = output.with_stem(f"{output.stem}-unfinished")
    print(f"before: {look(method, *held_out)}", flush=True)
    for step in range(steps):
        set_receptive_field(method.decoder, FIELDS[step % len(FIELDS)])
        x, clean = pool.batch(*SHAPES[step % len(SHAPES)])
        for group in optimizer.param_groups:
            group["lr"] = rate * cosine_rate(step / steps, step, 100)
        optimizer.zero_grad()
        objective(method, x, clean, generator).backward()
        if guard.step(optimizer, parameters)[0]:
            average.update()
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            average.swap()
            print(f"step {step + 1}  {look(method, *held_out)}", flush=True)
            set_receptive_field(method.decoder, max(FIELDS))
            known = {"names": ["phantoms"], "steps": before + step + 1}
            trained_on = TrainedOn.model_validate(known)
            training = TrainingConfig(learning_rate=rate, seed=seed)
            model = TrainedModel("cosdd", method, training, trained_on=trained_on)
            model.save(unfinished)
            average.swap()
    unfinished.replace(output)


@torch.no_grad()
def look(method: COSDD, x: Tensor, clean: Tensor) -> str:
    """Say the losses on held-out scenes, and the mean's error in dB of the noise's."""
    generator = torch.Generator().manual_seed(7)
    losses = method.losses(Batch(x), generator).metrics

    def noise(level: int, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=generator)

    features = method.encode(x)
    draws = [method.sample_posterior(features, noise).signal for _ in range(8)]
    mean = torch.stack(draws)
    error = (mean.mean(0) - clean).square().mean((1, 2, 3))
    gain = 10 * torch.log10((x - clean).square().mean((1, 2, 3)) / error)
    shown = {k: float(losses[k]) for k in ("nll", "kl")}
    return (
        f"nll {shown['nll']:.3f} kl {shown['kl']:.3f} "
        f"gain {gain.mean():.2f} dB (worst {gain.min():.2f})"
    )


typer.run(main)
