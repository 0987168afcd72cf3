"""Phantoms of many kinds: what a microscope may see, and what it may not.

Each function draws a clean image of `size` (y, x) with a numpy generator. The kinds
differ in what is characteristic of images: blobs, lines, edges, textures, scales.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from napari_cosdd.datasets.simulate import cells, gaussian_field

Image = NDArray[np.float64]
Size = tuple[int, int]


def round_cells(size: Size, rng: np.random.Generator) -> Image:
    """Draw cells with textured insides and thin filaments."""
    return cells(size, rng, n=int(rng.integers(5, 60))).astype(np.float64)


def beads(size: Size, rng: np.random.Generator) -> Image:
    """Draw points of many brightnesses under one point spread, few to crowded."""
    image = np.zeros(size)
    n = int(10 ** rng.uniform(1, 3.3))
    at = tuple(rng.integers(0, s, n) for s in size)
    np.add.at(image, at, rng.gamma(1.5, 1.0, n))
    return ndimage.gaussian_filter(image, rng.uniform(0.8, 3.5), mode="wrap")


def filaments(size: Size, rng: np.random.Generator) -> Image:
    """Draw a net of bent lines: where smooth fields cross zero."""
    image = np.zeros(size)
    for _ in range(int(rng.integers(1, 5))):
        field = gaussian_field(size, rng.uniform(4, 25), rng)
        slope = np.hypot(*np.gradient(field)) + 1e-3
        width = rng.uniform(0.6, 2.5)
        image += rng.uniform(0.2, 1) * np.exp(-((field / slope / width) ** 2))
    return image


def membranes(size: Size, rng: np.random.Generator) -> Image:
    """Draw tissue as electron microscopes see it: dark lines, grains, vesicles."""
    image = 1 - 0.8 * np.clip(filaments(size, rng), 0, 1)
    grain = gaussian_field(size, rng.uniform(0.5, 2), rng)
    shade = gaussian_field(size, rng.uniform(15, 40), rng)
    return image + rng.uniform(0.02, 0.3) * grain + rng.uniform(0, 0.2) * shade


def tissue(size: Size, rng: np.random.Generator) -> Image:
    """Draw cut cells: pairs of membranes, vesicles, and bodies with folds inside."""
    image = membranes(size, rng)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    for _ in range(int(rng.integers(5, 60))):  # vesicles
        radius, dark = rng.uniform(1.5, 6), rng.uniform(0.2, 0.9)
        away = np.hypot(y - rng.uniform(0, size[0]), x - rng.uniform(0, size[1]))
        image -= dark * np.exp(-(((away - radius) / rng.uniform(0.6, 1.4)) ** 2))
    for _ in range(int(rng.integers(0, 5))):  # mitochondria
        turn, (long, short) = rng.uniform(0, np.pi), rng.uniform(6, 35, 2)
        dy, dx = y - rng.uniform(0, size[0]), x - rng.uniform(0, size[1])
        u, v = (
            (dx * np.cos(turn) + dy * np.sin(turn)),
            (dy * np.cos(turn) - dx * np.sin(turn)),
        )
        away = np.hypot(u / long, v / short)
        folds = np.sin(u / rng.uniform(0.6, 1.6) + 0.5 * gaussian_field(size, 4, rng))
        inside = 0.5 + rng.uniform(0.05, 0.3) * folds
        image = np.where(away < 1, inside, image)
        image -= 0.6 * np.exp(-(((away - 1) * min(long, short)) ** 2))
    return image


def patches(size: Size, rng: np.random.Generator) -> Image:
    """Draw flat areas with sharp borders: level sets of a smooth field."""
    field = gaussian_field(size, rng.uniform(3, 25), rng)
    levels = np.sort(rng.normal(size=int(rng.integers(1, 5))))
    values = rng.uniform(0, 1, len(levels) + 1)
    return values[np.searchsorted(levels, field)]


def texture(size: Size, rng: np.random.Generator) -> Image:
    """Draw a Gaussian field of one scale, or of a brightness that is never negative."""
    field = gaussian_field(size, 10 ** rng.uniform(0, 1.2), rng)
    return special.expit(2 * field) if rng.random() < 0.5 else field


def fractal(size: Size, rng: np.random.Generator) -> Image:
    """Draw a field whose power falls with frequency, as in natural images."""
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.normal(size=size)) * frequency ** -rng.uniform(0.8, 2)
    return np.fft.ifft2(spectrum).real


def boxes(size: Size, rng: np.random.Generator) -> Image:
    """Draw turned rectangles, stripes and edges, such as devices and crystals."""
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    image = np.full(size, rng.uniform(0, 0.5))
    for _ in range(int(rng.integers(3, 25))):
        turn = rng.uniform(0, np.pi)
        u = x * np.cos(turn) + y * np.sin(turn)
        v = y * np.cos(turn) - x * np.sin(turn)
        cu, cv = (rng.uniform(w.min(), w.max()) for w in (u, v))
        inside = (np.abs(u - cu) < rng.uniform(2, 40)) & (
            np.abs(v - cv) < rng.uniform(2, 40)
        )
        image[inside] = rng.uniform(0, 1)
    if rng.random() < 0.3:
        image += rng.uniform(0.05, 0.3) * np.sin(u * rng.uniform(0.2, 1.5))
    return image


KINDS: tuple[Callable[[Size, np.random.Generator], Image], ...] = (
    round_cells,
    beads,
    filaments,
    membranes,
    tissue,
    patches,
    texture,
    fractal,
    boxes,
)


def scene(size: Size, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw an image of one or two kinds through a random optics, 0 to 1."""
    first, second = rng.choice(len(KINDS), 2)
    image = _unit(KINDS[first](size, rng))
    if rng.random() < 0.4:
        image = image + rng.uniform(0.1, 1) * _unit(KINDS[second](size, rng))
    if rng.random() < 0.7:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.8), mode="wrap")
    if rng.random() < 0.3:  # few bright things before a dark ground
        image = _unit(image) ** rng.uniform(1.5, 4)
    image = _unit(image)
    if rng.random() < 0.2:  # faint under the noise, or as good as empty
        contrast = 10 ** rng.uniform(-3, -0.3)
        image = rng.uniform(0, 1 - contrast) + contrast * image
    return image.astype(np.float32)


def _unit(image: Image) -> Image:
    low, high = image.min(), image.max()
    return (image - low) / max(high - low, 1e-9)
