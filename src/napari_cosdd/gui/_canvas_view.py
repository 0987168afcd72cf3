"""The view of the canvas while docks take room from it."""

from typing import Any

#: Ratio of the zooms at which layers fill the canvas, and at which *Reset view* shows
#: them, with a margin.
MARGIN = 1.06
#: The same, of a view that counts as that in which napari opened the layers: its own
#: docks grow with the first layer, and cut a little off.
OPENED = 1.2


def shows_all(viewer: Any, margin: float = MARGIN) -> bool:
    """Whether the layers lie in the middle of the canvas, and all of them is seen.

    Parameters
    ----------
    viewer : Viewer
        Shows planes; of volumes it is never said.
    margin : float
        Largest ratio of its zoom to that of *Reset view*.
    """
    if not len(viewer.layers) or viewer.dims.ndisplay != 2:
        return False
    camera = camera_of(viewer)
    center, zoom = camera.center, camera.zoom
    viewer.reset_view()
    shown = zoom <= margin * camera.zoom and all(
        abs(a - b) * zoom < 1  # less than a pixel of the canvas
        for a, b in zip(camera.center, center, strict=True)
    )
    camera.center, camera.zoom = center, zoom
    return shown


class KeptView:
    """The view of a canvas that a dock will narrow, or tiles will share.

    A view that did not show all layers at first, or that was changed since, stays.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._before = self._now() if shows_all(viewer, OPENED) else None

    def show_all_again(self) -> None:
        """Zoom out if not all of the layers is seen any more."""
        if self._before == self._now() and not shows_all(self._viewer):
            self._viewer.reset_view()
            self._before = self._now()

    def fill_again(self) -> None:
        """Let the layers fill the canvas again, which has more room now."""
        if self._before == self._now():
            self._viewer.reset_view()

    def _now(self) -> tuple[Any, float]:
        camera = camera_of(self._viewer)
        return camera.center, camera.zoom


def camera_of(viewer: Any) -> Any:
    """Return the camera of a viewer."""
    return getattr(viewer, "scene", viewer).camera  # of the viewer before napari 0.9
