"""The view of the canvas while docks take room from it."""

from typing import Any

#: Ratio of the zooms at which layers fill the canvas, and at which *Reset view* shows
#: them, with a margin.
MARGIN = 1.06


def shows_all(viewer: Any) -> bool:
    """Whether the layers lie in the middle of the canvas, and all of them is seen."""
    if not len(viewer.layers) or viewer.dims.ndisplay != 2:
        return False
    camera = getattr(viewer, "scene", viewer).camera  # of the viewer before napari 0.9
    center, zoom = camera.center, camera.zoom
    viewer.reset_view()
    shown = zoom <= MARGIN * camera.zoom and all(
        abs(a - b) * zoom < 1  # less than a pixel of the canvas
        for a, b in zip(camera.center, center, strict=True)
    )
    camera.center, camera.zoom = center, zoom
    return shown


def show_all_again(viewer: Any) -> None:
    """Zoom out if not all of the layers is seen any more."""
    if not shows_all(viewer):
        viewer.reset_view()
