"""Simulated noise along rows, of many strengths and correlations, in batches."""

import math

import torch
from torch import Tensor

#: Pixels beside a row within which its noise comes about: filters wrap there.
BEFORE = 64
#: Range of the standard deviation of all noise; the signal is 0 to 1.
WEAKEST, STRONGEST = 0.02, 0.25


class Rows:
    """Random numbers for the noise of a batch of images (n, y, x)."""

    def __init__(self, shape: torch.Size, generator: torch.Generator) -> None:
        self.shape, self.generator = shape, generator
        self.device = generator.device

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return one number for each image, (n, 1, 1)."""
        shape = (self.shape[0], 1, 1)
        u = torch.rand(shape, generator=self.generator, device=self.device)
        return low + (high - low) * u

    def normal(self, *shape: int) -> Tensor:
        """Return white noise of unit variance."""
        shape = shape or tuple(self.shape)
        return torch.randn(shape, generator=self.generator, device=self.device)

    def chosen(self, *images: Tensor) -> Tensor:
        """Return for each image one of several."""
        choice = (self.uniform() * len(images)).long().clamp(max=len(images) - 1)
        return torch.stack([i.expand(self.shape) for i in images]).gather(
            0, choice[None].expand(1, *self.shape)
        )[0]


def add_noise(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Return clean images with noise, each of a kind drawn at random.

    White noise, noise that grows or falls with the signal, and noise that is
    correlated along rows, each with a strength of its own; all three or fewer.

    Parameters
    ----------
    clean : Tensor, shape (n, y, x)
        Signal, 0 to 1.
    generator : torch.Generator
        Source of randomness, on the device of the images.
    """
    rows = Rows(clean.shape, generator)
    strength = rows.uniform(math.log(WEAKEST), math.log(STRONGEST)).exp()
    weights = torch.stack([-rows.uniform(0.01, 1).log() * w for w in (1, 1, 1.4)])
    white, shot, row = strength * torch.sqrt(weights / weights.sum(0))
    correlated = row * along_rows(rows) * (rows.uniform() < 0.85)
    columns = 0.3 * white * rows.normal(clean.shape[0], 1, clean.shape[2])
    noise = (
        white * rows.normal()
        + grown_with(clean, shot, rows)
        + correlated
        + columns * (rows.uniform() < 0.05)
    )
    hot = (rows.normal() > 3.3) * (rows.uniform() < 0.05)  # single wrong pixels
    size = rows.uniform(3, 15) * noise.std((-2, -1), keepdim=True)
    return clean + noise + hot * size


def grown_with(clean: Tensor, strength: Tensor, rows: Rows) -> Tensor:
    """Draw noise that depends on the signal: of photons, of an EMCCD, or falling.

    An electron-multiplying register doubles the variance of the photons (Robbins &
    Hadwen, IEEE Trans. Electron Devices 50, 2003).
    """
    level = clean.mean((-2, -1), keepdim=True).clamp(min=0.05)
    gain = (strength**2 / level).clamp(min=1e-5)
    photons = torch.poisson(clean / gain, generator=rows.generator)
    poisson = gain * photons - clean
    # a register's output has the mean and variance of the number of photons
    amplified = photons + photons.sqrt() * rows.normal()
    emccd = (gain * amplified - clean) / math.sqrt(2)
    falling = strength * rows.normal() / (1 + 4 * clean)
    return rows.chosen(poisson, poisson, emccd, falling)


def along_rows(rows: Rows) -> Tensor:
    """Draw noise of unit variance that is correlated along the last axis only."""
    n, height, width = rows.shape
    length = width + 2 * BEFORE
    f = torch.fft.rfftfreq(length, device=rows.device)
    turn = torch.polar(torch.ones_like(f), -2 * math.pi * f)
    psf = torch.exp(-2 * (math.pi * rows.uniform(0.4, 3) * f) ** 2) + 0j
    slow = 1 / (1 - rows.uniform(0.3, 0.98) * turn)
    sharpened = 1 - rows.uniform(0.1, 0.7) * turn
    # after a bright pixel the register reads too little
    trailing = 1 - rows.uniform(0.05, 0.4) * turn / (1 - 0.5 * turn)
    drift = 1 / (f.clamp(min=1 / length) ** rows.uniform(0.3, 1)) + 0j
    kind = (rows.uniform() * 5).long().clamp(max=4)
    filters = torch.cat([psf, slow, sharpened, trailing, drift], 1)
    gain = filters.gather(1, kind.expand(-1, 1, len(f)))
    white = rows.normal(n, height, length)
    filtered = torch.fft.irfft(torch.fft.rfft(white) * gain, n=length)
    made = unit(filtered[..., BEFORE : BEFORE + width])

    period, phase = rows.uniform(2.5, 30), rows.normal(n, height, 1) * 10
    x = torch.arange(width, device=rows.device)
    wave = torch.sin(2 * math.pi * x / period + phase)  # a pickup of the mains
    wave = torch.where(rows.uniform() < 0.5, wave.sign(), wave)
    offset = rows.normal(n, height, 1) + rows.normal() * rows.uniform(0.3, 2)
    # a resonant mirror is slow at the ends of a line, whose pixels then share noise
    place = (x / max(1, width - 1) - 0.5) * 2 * rows.uniform(0.6, 0.95)
    warped = BEFORE + (place.asin() / math.pi + 0.5) * (width - 1)
    resonant = filtered.gather(2, warped.round().long().expand(n, height, width))
    return rows.chosen(made, made, made, unit(wave), unit(offset), unit(resonant))


def unit(noise: Tensor) -> Tensor:
    """Return noise scaled to unit variance in each image."""
    return noise / noise.std((-2, -1), keepdim=True).clamp(min=1e-9)
