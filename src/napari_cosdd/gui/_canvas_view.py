"""The view of the canvas while docks take room from it."""

from typing import Any

from qtpy.QtCore import QTimer

#: Ratio of the zooms at which layers fill the canvas, and at which *Reset view* shows
#: them, with a margin.
MARGIN = 1.06
#: Times after which the layout of a dock is looked at, milliseconds.
LOOKS = (50, 200, 600)


def shows_all(viewer: Any) -> bool:
    """Whether the layers lie in the middle of the canvas, and all of them is seen."""
    if not len(viewer.layers) or viewer.dims.ndisplay != 2:
        return False
    camera = _camera(viewer)
    center, zoom = camera.center, camera.zoom
    viewer.reset_view()
    shown = zoom <= MARGIN * camera.zoom and all(
        abs(a - b) * zoom < 1  # less than a pixel of the canvas
        for a, b in zip(camera.center, center, strict=True)
    )
    camera.center, camera.zoom = center, zoom
    return shown


def keep_all_shown(viewer: Any) -> None:
    """Show all layers again if a dock that is being laid out cuts them off.

    A view that does not show all now, or that the user changes meanwhile, stays.
    """
    if not shows_all(viewer):
        return
    camera = _camera(viewer)
    before = camera.center, camera.zoom

    def look() -> None:
        nonlocal before
        if (camera.center, camera.zoom) == before and not shows_all(viewer):
            viewer.reset_view()
            before = camera.center, camera.zoom

    for delay in LOOKS:
        QTimer.singleShot(delay, look)


def _camera(viewer: Any) -> Any:
    return getattr(viewer, "scene", viewer).camera  # of the viewer before napari 0.9
