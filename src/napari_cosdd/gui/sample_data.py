"""Sample images for napari's File → Open Sample; no download."""

from functools import partial
from typing import Any

import numpy as np
from napari import current_viewer
from qtpy.QtCore import QTimer

from napari_cosdd.gui._canvas_view import camera_of

#: Where in the nuclei to look, y and x in pixels.
PLACE = (500.0, 670.0)
#: Pixels of the screen for one of the nuclei.
ZOOM = 2.0

LayerData = tuple[Any, dict[str, Any], str]


def nuclei() -> list[LayerData]:
    """Return the real nuclei: wide-field CCD, noise along the rows.

    The contrast is that of the dim nuclei, and an empty viewer is zoomed in on some: at
    the whole range, and from afar, nobody would see the noise.
    """
    from napari_cosdd.datasets.samples import nuclei as bundled

    data = np.asarray(bundled().data)
    low, high = np.quantile(data, [0.001, 0.86])
    shown = {
        "name": "nuclei",
        "contrast_limits": (float(low), float(high)),
        "metadata": {"source": "NEUBIAS/training-resources, CC BY 4.0"},
    }
    viewer = current_viewer()
    if viewer is not None:
        QTimer.singleShot(0, partial(_look_closer, viewer))  # once it is a layer
    return [(data, shown, "image")]


def stripes() -> list[LayerData]:
    """Return simulated stripe noise on a phantom, and its ground truth."""
    from napari_cosdd.datasets.simulate import cells, stripes

    rng = np.random.default_rng(0)
    clean = cells((512, 512), rng)
    noisy = stripes(clean, rng, gain=0.008, gaussian=0.04, row=0.05)
    limits = (float(clean.min()), float(clean.max()))
    return [
        (
            clean,
            {"name": "stripes · truth", "visible": False, "contrast_limits": limits},
            "image",
        ),
        (noisy, {"name": "stripes", "contrast_limits": limits}, "image"),
    ]


def movie() -> list[LayerData]:
    """Return a simulated calcium movie of a scanning microscope, and its truth."""
    from napari_cosdd.datasets.calcium import OFFSET, calcium_movie, with_noise

    rng = np.random.default_rng(0)
    clean = calcium_movie(rng, 40)[2]
    noisy = with_noise(clean, rng)
    limits = tuple(float(level) for level in np.quantile(noisy, [0.01, 0.998]))
    shown = {"axis_labels": ("t", "y", "x"), "contrast_limits": limits}
    return [
        (clean + OFFSET, shown | {"name": "movie · truth", "visible": False}, "image"),
        (noisy, shown | {"name": "movie"}, "image"),
    ]


def _look_closer(viewer: Any) -> None:
    """Zoom in on the nuclei, if the viewer has no other layer."""
    if [layer.name for layer in viewer.layers] == ["nuclei"]:
        camera = camera_of(viewer)
        camera.center, camera.zoom = (0.0, *PLACE), ZOOM
