"""A finished prediction in napari's window, as the demonstration ends."""

import os
import sys
from importlib.util import find_spec

from napari_cosdd.api import Prediction


def can_show() -> bool:
    """Tell whether a window can be opened here."""
    if find_spec("napari") is None or not any(
        find_spec(name) for name in ("PyQt6", "PySide6", "PyQt5", "PySide2")
    ):
        return False
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def show_prediction(prediction: Prediction) -> None:
    """Open napari with noisy, mean, deviation and samples as layers."""
    import napari

    source = prediction.source
    scale = [source.pixel_size.get(a, 1.0) for a in source.axes]
    viewer = napari.Viewer(title="COSDD demo")
    noisy = viewer.add_image(source.data, name=source.name, scale=scale)
    limits = noisy.contrast_limits
    for k, sample in enumerate(prediction.samples, start=1):
        viewer.add_image(
            sample,
            name=f"{source.name} · sample {k}",
            scale=scale,
            contrast_limits=limits,
            visible=False,
        )
    viewer.add_image(
        prediction.deviation,
        name=f"{source.name} · deviation",
        scale=scale,
        colormap="magma",
        visible=False,
    )
    viewer.add_image(
        prediction.mean,
        name=f"{source.name} · mean",
        scale=scale,
        contrast_limits=limits,
    )
    napari.run()
