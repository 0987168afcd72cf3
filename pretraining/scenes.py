"""Phantoms of many kinds: what a microscope may see, and what it may not.

Each kind draws a batch of clean images (n, side, side), every image with parameters of
its own, on the device of the random generator. The kinds differ in what is
characteristic of images: blobs, lines, edges, textures, scales.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

#: Largest number of things (cells, boxes, vesicles) in one image.
MANY = 40


class Draw:
    """Random numbers for a batch of images.

    Parameters
    ----------
    n, side : int
        Number of images, and their width and height, pixels.
    generator : torch.Generator
        Source of randomness; its device is that of the images.
    """

    def __init__(self, n: int, side: int, generator: torch.Generator) -> None:
        self.n, self.side, self.generator = n, side, generator
        self.device = generator.device
        pixels = torch.arange(side, device=self.device, dtype=torch.float32)
        self.y, self.x = pixels[:, None], pixels[None, :]
        fy = torch.fft.fftfreq(side, device=self.device)[:, None]
        fx = torch.fft.rfftfreq(side, device=self.device)[None, :]
        #: Frequency of each mode of a real transform, cycles per pixel.
        self.frequency = torch.sqrt(fy**2 + fx**2)

    def uniform(self, low: float, high: float) -> Tensor:
        """Return one number for each image, (n, 1, 1)."""
        u = torch.rand(self.n, 1, 1, generator=self.generator, device=self.device)
        return low + (high - low) * u

    def log_uniform(self, low: float, high: float) -> Tensor:
        """Return one number for each image, its logarithm uniform, (n, 1, 1)."""
        return self.uniform(math.log(low), math.log(high)).exp()

    def chance(self, probability: float) -> Tensor:
        """Return whether, for each image, (n, 1, 1)."""
        return self.uniform(0, 1) < probability

    def normal(self) -> Tensor:
        """Return white noise, (n, side, side)."""
        shape = (self.n, self.side, self.side)
        return torch.randn(shape, generator=self.generator, device=self.device)

    def field(self, length: Tensor) -> Tensor:
        """Return smooth Gaussian fields of these lengths, pixels, and unit variance."""
        return unit_variance(self.smooth(self.normal(), length / math.sqrt(2)))

    def smooth(self, image: Tensor, width: Tensor) -> Tensor:
        """Return images blurred by Gaussians of these widths, pixels; they wrap."""
        gain = torch.exp(-2 * (math.pi * width * self.frequency) ** 2)
        return torch.fft.irfft2(torch.fft.rfft2(image) * gain, s=image.shape[-2:])

    def ellipse(
        self, smallest: float, largest: float, unit: Tensor | float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Return one turned ellipse for each image: distance and long coordinate.

        The distance is 0 at the centre and 1 on the border; the other is in pixels.
        Half axes are between `smallest` and `largest`, in units of `unit` pixels.
        """
        cy, cx = self.uniform(0, self.side), self.uniform(0, self.side)
        turn = self.uniform(0, math.pi)
        dy, dx = self.y - cy, self.x - cx
        u = dx * turn.cos() + dy * turn.sin()
        v = dy * turn.cos() - dx * turn.sin()
        long, short = (unit * self.log_uniform(smallest, largest) for _ in range(2))
        return torch.sqrt((u / long) ** 2 + (v / short) ** 2), u


def unit_variance(image: Tensor) -> Tensor:
    """Return images scaled to mean 0 and variance 1."""
    image = image - image.mean((-2, -1), keepdim=True)
    return image / image.std((-2, -1), keepdim=True).clamp(min=1e-9)


def unit_range(image: Tensor) -> Tensor:
    """Return images scaled to 0 to 1."""
    low, high = image.amin((-2, -1), keepdim=True), image.amax((-2, -1), keepdim=True)
    return (image - low) / (high - low).clamp(min=1e-9)


def cells(draw: Draw) -> Tensor:
    """Draw cells or nuclei with textured insides."""
    texture = draw.field(draw.log_uniform(1, 6))
    image = torch.zeros_like(texture)
    size, n_shown = draw.log_uniform(4, 24), draw.uniform(2, MANY)
    for i in range(MANY):
        away, _ = draw.ellipse(0.7, 1.4, size)
        inside = torch.sigmoid(draw.uniform(4, 16) * (1 - away**2))
        bright = draw.uniform(0.2, 1) * (i < n_shown)
        image = torch.maximum(image, inside * bright)
    return image * (1 + draw.uniform(0, 0.35) * texture)


def spots(draw: Draw) -> Tensor:
    """Draw points of many brightnesses under one point spread, few to crowded."""
    density = draw.log_uniform(2e-4, 4e-2)
    chosen = torch.rand(
        (draw.n, draw.side, draw.side), generator=draw.generator, device=draw.device
    )
    bright = draw.normal().abs() ** draw.uniform(0.5, 2)
    return draw.smooth((chosen < density) * bright, draw.uniform(0.7, 3.5))


def filaments(draw: Draw) -> Tensor:
    """Draw a net of bent lines: where smooth fields cross zero."""
    image = 0 * draw.normal()
    for i in range(3):
        field = draw.field(draw.log_uniform(4, 30))
        slope_y = (field.roll(-1, -2) - field.roll(1, -2)) / 2
        slope_x = (field.roll(-1, -1) - field.roll(1, -1)) / 2
        slope = torch.sqrt(slope_y**2 + slope_x**2) + 1e-3
        line = torch.exp(-((field / slope / draw.uniform(0.6, 2.5)) ** 2))
        faded = torch.sigmoid(3 * draw.field(draw.log_uniform(15, 50)) + 2)
        shown = draw.chance(1 if i == 0 else 0.5)
        image = image + shown * draw.uniform(0.2, 1) * line * faded
    return image


def reticulum(draw: Draw) -> Tensor:
    """Draw a dense net of tubes that widens into sheets, inside one cell."""
    net = filaments(draw)
    sheet = torch.sigmoid(8 * (draw.field(draw.log_uniform(10, 30)) - 1))
    away, _ = draw.ellipse(60, 200)
    return torch.maximum(net, draw.uniform(0.2, 0.9) * sheet) * torch.sigmoid(
        8 * (1 - away)
    )


def membranes(draw: Draw) -> Tensor:
    """Draw tissue as electron microscopes see it: dark lines, grains, shades."""
    image = 1 - 0.8 * filaments(draw).clamp(0, 1)
    grain, shade = (
        draw.field(draw.log_uniform(0.5, 2)),
        draw.field(draw.uniform(15, 40)),
    )
    return image + draw.log_uniform(0.01, 0.2) * grain + draw.uniform(0, 0.2) * shade


def tissue(draw: Draw) -> Tensor:
    """Draw cut cells: pairs of membranes, vesicles, and bodies with folds inside."""
    image = membranes(draw)
    n_shown = draw.uniform(0, MANY)
    for i in range(MANY):  # vesicles
        cy, cx = draw.uniform(0, draw.side), draw.uniform(0, draw.side)
        away = torch.sqrt((draw.y - cy) ** 2 + (draw.x - cx) ** 2)
        rim = ((away - draw.uniform(1.5, 6)) / draw.uniform(0.6, 1.4)) ** 2
        image = image - draw.uniform(0.2, 0.9) * torch.exp(-rim) * (i < n_shown)
    for _ in range(3):  # mitochondria
        away, along = draw.ellipse(6, 35)
        bent = along / draw.uniform(0.6, 1.6) + 0.5 * draw.field(draw.uniform(3, 6))
        inside = 0.5 + draw.uniform(0.05, 0.3) * bent.sin()
        image = torch.where((away < 1) & draw.chance(0.7), inside, image)
        image = image - 0.6 * torch.exp(-((8 * (away - 1)) ** 2))
    return image


def vesicles(draw: Draw) -> Tensor:
    """Draw bright rings and discs on a dark, uneven ground."""
    image = 0.1 * draw.field(draw.uniform(10, 40))
    filled, size = draw.uniform(0, 1), draw.log_uniform(2, 14)
    for _ in range(MANY // 2):
        cy, cx = draw.uniform(0, draw.side), draw.uniform(0, draw.side)
        away = torch.sqrt((draw.y - cy) ** 2 + (draw.x - cx) ** 2)
        radius = size * draw.uniform(0.5, 1.5)
        rim = torch.exp(-(((away - radius) / draw.uniform(0.8, 2)) ** 2))
        disc = torch.sigmoid(2 * (radius - away))
        shape = torch.where(draw.uniform(0, 1) < filled, disc, rim)
        image = torch.maximum(image, draw.uniform(0.2, 1) * shape)
    return image


def neurons(draw: Draw) -> Tensor:
    """Draw cell bodies with dark nuclei and thin processes in a dim neuropil."""
    image = draw.uniform(0.05, 0.4) * draw.field(draw.log_uniform(2, 8))
    image = image + draw.uniform(0.1, 0.6) * filaments(draw)
    for _ in range(MANY // 2):
        away, _ = draw.ellipse(5, 12)
        ring = torch.sigmoid(10 * (1 - away)) * (1 - 0.6 * torch.exp(-6 * away**2))
        image = torch.maximum(image, draw.uniform(0, 1) ** 2 * ring)
    return image


def patches(draw: Draw) -> Tensor:
    """Draw flat areas with sharp borders: level sets of a smooth field."""
    field = draw.field(draw.log_uniform(3, 25))
    image = torch.zeros_like(field)
    for i in range(4):
        shown = draw.chance(1 if i == 0 else 0.6)
        level, step = draw.uniform(-1.5, 1.5), draw.uniform(-1, 1)
        image = image + shown * step * (field > level)
    return image


def texture(draw: Draw) -> Tensor:
    """Draw a Gaussian field of one scale, or of a brightness that is never negative."""
    field = draw.field(draw.log_uniform(1, 16))
    return torch.where(draw.chance(0.5), torch.sigmoid(2 * field), field)


def fractal(draw: Draw) -> Tensor:
    """Draw a field whose power falls with frequency, as in natural images."""
    lowest = 1 / draw.side
    gain = draw.frequency.clamp(min=lowest) ** -draw.uniform(0.8, 2)
    gain = gain * (draw.frequency > 0)
    return torch.fft.irfft2(torch.fft.rfft2(draw.normal()) * gain)


def boxes(draw: Draw) -> Tensor:
    """Draw turned rectangles and stripes, such as devices and crystals."""
    image = draw.uniform(0, 0.5).expand(-1, draw.side, draw.side)
    n_shown = draw.uniform(3, MANY / 2)
    for i in range(MANY // 2):
        cy, cx = draw.uniform(0, draw.side), draw.uniform(0, draw.side)
        turn = draw.uniform(0, math.pi)
        u = (draw.x - cx) * turn.cos() + (draw.y - cy) * turn.sin()
        v = (draw.y - cy) * turn.cos() - (draw.x - cx) * turn.sin()
        inside = (u.abs() < draw.log_uniform(2, 60)) & (
            v.abs() < draw.log_uniform(2, 60)
        )
        image = torch.where(inside & (i < n_shown), draw.uniform(0, 1), image)
    wave = torch.sin(u * draw.uniform(0.2, 1.5)) * draw.uniform(0.05, 0.3)
    return image + wave * draw.chance(0.3)


def lattice(draw: Draw) -> Tensor:
    """Draw columns of atoms: a lattice with grains, strain and missing atoms."""
    strain = [draw.field(draw.uniform(40, 80)) for _ in range(2)]
    amount = draw.uniform(0, 2)
    y, x = draw.y + amount * strain[0], draw.x + amount * strain[1]
    turn, skew = draw.uniform(0, math.pi), draw.uniform(1.0, 2.1)
    spacing, ratio = draw.log_uniform(5, 24), draw.uniform(0.7, 1.4)
    turn = turn + draw.chance(0.3) * (draw.field(draw.uniform(30, 60)) > 0.5) * 0.4
    u = 2 * math.pi * (x * turn.cos() + y * turn.sin()) / spacing
    other = turn + skew
    v = 2 * math.pi * (x * other.cos() + y * other.sin()) / (spacing * ratio)
    sharp = draw.log_uniform(0.5, 6)
    atoms = torch.exp(sharp * (u.cos() + v.cos() - 2))
    second = torch.exp(sharp * ((u + math.pi).cos() + (v + math.pi).cos() - 2))
    image = atoms + draw.chance(0.4) * draw.uniform(0.1, 0.7) * second
    edge = torch.sigmoid(6 * (draw.field(draw.uniform(20, 60)) + draw.uniform(0, 2)))
    thickness = 1 + draw.uniform(0, 0.4) * draw.field(draw.uniform(20, 60))
    return image * edge * thickness


def empty(draw: Draw) -> Tensor:
    """Draw next to nothing: a shade, and at most a few points."""
    few = (draw.normal() > 4) * draw.chance(0.5)
    shade = draw.uniform(0, 0.3) * draw.field(draw.uniform(30, 100))
    return shade + draw.smooth(few.float(), draw.uniform(0.7, 2.5))


KINDS: tuple[Callable[[Draw], Tensor], ...] = (
    cells,
    spots,
    filaments,
    reticulum,
    membranes,
    tissue,
    vesicles,
    neurons,
    patches,
    texture,
    fractal,
    boxes,
    lattice,
    empty,
)


def scenes(n: int, side: int, generator: torch.Generator) -> Tensor:
    """Draw images of one or two kinds through random optics, 0 to 1.

    Parameters
    ----------
    n, side : int
        Number of images, and their width and height, pixels.
    generator : torch.Generator
        Source of randomness; its device is that of the images.

    Returns
    -------
    Tensor, shape (n, side, side)
    """
    draw = Draw(n, side, generator)
    first, second = (unit_range(_of_kinds(draw)) for _ in range(2))
    image = first + draw.chance(0.4) * draw.uniform(0.1, 1) * second
    blurred = draw.smooth(image, draw.uniform(0.3, 1.8))
    image = unit_range(torch.where(draw.chance(0.7), blurred, image))
    power = torch.where(draw.chance(0.3), draw.uniform(1.5, 4), draw.uniform(1, 1))
    image = image**power  # some have few bright things before a dark ground
    contrast = draw.log_uniform(1e-3, 0.5)  # some are faint under the noise, or empty
    faint = draw.uniform(0, 1) * (1 - contrast) + contrast * image
    return torch.where(draw.chance(0.2), faint, image)


def _of_kinds(draw: Draw) -> Tensor:
    """Draw each image of a kind of its own: about as many of each."""
    parts = torch.tensor_split(torch.arange(draw.n), len(KINDS))
    drawn = torch.randint(
        len(KINDS), (1,), generator=draw.generator, device=draw.device
    )
    shift = int(drawn)
    images = [
        KINDS[(i + shift) % len(KINDS)](Draw(len(part), draw.side, draw.generator))
        for i, part in enumerate(parts)
        if len(part)
    ]
    order = torch.randperm(draw.n, generator=draw.generator, device=draw.device)
    return torch.cat(images)[order]
