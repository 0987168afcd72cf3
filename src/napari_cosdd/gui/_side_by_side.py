"""The noisy image, its samples and their mean side by side in napari's grid."""

from collections.abc import Mapping
from typing import Any

from napari.experimental import link_layers, unlink_layers
from napari.layers import Image as ImageLayer

from napari_cosdd.gui._canvas_view import KeptView
from napari_cosdd.gui._layers import KEY, add_part, data_of, part_name, role_of
from napari_cosdd.gui._places import place
from napari_cosdd.gui._results import SAMPLES
from napari_cosdd.methods.outputs import MEAN

#: Number of samples that are shown at a time; more tiles would be too small.
MOST = 8
#: Size of the names of layers, points.
USUAL = 10
#: Size of the names in tiles, points.
SMALL = 8


class SideBySide:
    """Shows tiles with one contrast and their names; gives all back when it is hidden.

    Samples that share a layer get a layer each for as long as the tiles are shown.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.canvas = getattr(viewer, "canvas", viewer)  # before napari 0.9: the viewer
        self._tiles: list[ImageLayer] = []
        self._made: list[ImageLayer] = []
        self._limits: list[tuple[float, ...]] = []
        self._visible: dict[ImageLayer, bool] = {}
        self._view: KeptView | None = None

    def show(self, source: ImageLayer, parts: Mapping[str, ImageLayer]) -> None:
        """Show the results of a source; `parts` has at least the mean."""
        mean = parts[MEAN.name]
        self._visible = {layer: layer.visible for layer in self.viewer.layers}
        if SAMPLES.name in parts:
            self._made = self._apart(source, parts[SAMPLES.name], mean)
        samples = self._made or one_each(parts)[:MOST]
        tiles = [mean, *samples]
        if source in self.viewer.layers:
            tiles.insert(0, source)
        for layer in self.viewer.layers:
            layer.visible = layer in tiles
        self._limits = [tuple(layer.contrast_limits) for layer in tiles]
        for layer in tiles:
            layer.contrast_limits = tuple(mean.contrast_limits)
        link_layers(tiles, ["contrast_limits"])
        self._tiles = tiles
        self._name(True)
        self._view = KeptView(self.viewer)
        self.canvas.grid.enabled = True
        self._view.show_all_again()

    def hide(self) -> None:
        """Show the layers as they were before."""
        if self._tiles:
            unlink_layers(self._tiles, ["contrast_limits"])
        self._name(False)
        for layer, limits in zip(self._tiles, self._limits, strict=True):
            layer.contrast_limits = limits
        for layer in self._made:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        for layer, visible in self._visible.items():
            layer.visible = visible
        self.canvas.grid.enabled = False
        if self._view is not None:
            self._view.fill_again()
        self._view = None
        self._tiles, self._made, self._limits, self._visible = [], [], [], {}

    def _apart(
        self, source: ImageLayer, samples: ImageLayer, mean: ImageLayer
    ) -> list[ImageLayer]:
        """Add a layer for each of the first samples."""
        made = []
        for i, pixels in enumerate(data_of(samples)[:MOST], start=1):
            name = f"sample {i}"
            look = place(mean) | {"colormap": mean.colormap}
            made.append(
                add_part(
                    self.viewer,
                    source,
                    f"tile of {name}",
                    pixels,
                    name=part_name(source.name, name),
                    contrast_limits=tuple(mean.contrast_limits),
                    **look,
                )
            )
        return made

    def _name(self, on: bool) -> None:
        """Write the names of the layers into their tiles, so that their ends fit."""
        for layer in self._tiles:
            overlay = getattr(layer, "name_overlay", None)  # napari 0.9 and later
            if overlay is not None:
                overlay.visible, overlay.position = on, "top_right"
                overlay.font_size = SMALL if on else USUAL


def one_each(parts: Mapping[str, ImageLayer]) -> list[ImageLayer]:
    """Return the layers with one sample each, in order."""
    found = [
        layer
        for part, layer in parts.items()
        if role_of(layer) == "sample" and part != SAMPLES.name
    ]
    return sorted(found, key=lambda layer: int(layer.metadata[KEY]["index"]))
