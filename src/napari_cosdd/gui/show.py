"""Shows the prediction of the demonstration in a napari window."""

import os
import sys
from importlib.util import find_spec
from typing import Any

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


def show_prediction(prediction: Prediction, made_by: dict[str, Any]) -> None:
    """Open napari with noisy, mean, deviation and samples as layers."""
    import napari

    from napari_cosdd.events import Allocated, Denoised
    from napari_cosdd.gui._results import ResultLayers

    source = prediction.source
    viewer = napari.Viewer(title="COSDD demo")
    layer = viewer.add_image(
        source.data,
        name=source.name,
        scale=[source.pixel_size.get(a, 1.0) for a in source.axes],
    )
    results = ResultLayers(viewer, layer, provenance=made_by)
    results.take(Allocated(prediction))
    results.take(Denoised(prediction))
    results.finish()
    napari.run()
