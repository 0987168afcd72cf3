"""Layers with the results of a denoising; they appear early and fill with samples."""

import re
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer

from napari_cosdd.api import Prediction
from napari_cosdd.events import Allocated, Denoised, Event
from napari_cosdd.gui._layers import KEY, add_part, part_name, parts_of, role_of
from napari_cosdd.gui._places import place, with_sample_axis
from napari_cosdd.gui._preview import PART as PREVIEW
from napari_cosdd.methods.outputs import MEAN, Output

#: All kept samples in one layer, which has an axis more than the others.
SAMPLES = Output("samples", "sample")
#: Shortest time between two redraws of the layers, seconds.
EVERY = 0.5
#: End of the name of layers of a denoising that did not reach its end.
PARTIAL = " (partial)"
#: Largest number of pixels from which contrast limits are computed, roughly.
LOOKED_AT = 1 << 20


class ResultLayers:
    """Adds the outputs of a prediction to the viewer as layers just above the source.

    Parameters
    ----------
    viewer : Viewer
        Where the layers go.
    source : Image layer
        The layer that is denoised; results take its place, colours and contrast.
    offset : sequence of int, optional
        Where in the source the denoised part begins, pixels.
    provenance : dict
        Model and settings, stored in the metadata of each layer.
    method : str
        Name of the method, which tells results of several models apart.
    replace : bool
        Put new pixels into the layers of an earlier run; else add new layers.
    stacked : bool
        Show the kept samples as one layer with a slider; else as a layer each.
    """

    def __init__(
        self,
        viewer: Any,
        source: ImageLayer,
        *,
        offset: Sequence[int] | None = None,
        provenance: dict[str, Any],
        method: str = "",
        replace: bool = True,
        stacked: bool = False,
    ) -> None:
        self.viewer, self.source, self.replace = viewer, source, replace
        self.stacked, self.complete = stacked, False
        self.offset, self.provenance, self.method = offset, provenance, method
        self.layers: dict[Output, ImageLayer] = {}
        #: Pixels and metadata of the layers of an earlier run that are replaced.
        self._before: dict[Output, tuple[Any, dict[str, Any]]] = {}
        #: Layers of an earlier run that this one has no pixels for.
        self._stale: list[ImageLayer] = []
        self._drawn = 0.0
        self._limits: list[float] | None = None

    def take(self, event: Event) -> None:
        """Add or redraw the layers after an event."""
        if isinstance(event, Allocated):
            self._add_all(event.result)
        elif isinstance(event, Denoised):
            self.complete = True
        elif time.monotonic() - self._drawn > EVERY:
            self._refresh()

    def finish(self) -> None:
        """Redraw the layers at the end of the job, also after an error.

        If it did not reach its end, layers of an earlier run get their pixels back;
        where there was none, they are named "partial".
        """
        if self._before and not self.complete:
            self._put_back()
        elif self.complete:
            for layer in self._stale:
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
        self._before.clear()
        self._refresh()
        for layer in self.layers.values():
            plain = layer.name.removesuffix(PARTIAL)
            layer.name = plain if self.complete else plain + PARTIAL

    def _put_back(self) -> None:
        """Undo what the job did to the layers of an earlier run."""
        for output, layer in self.layers.items():
            if layer not in self.viewer.layers:
                continue
            if output not in self._before:
                self.viewer.layers.remove(layer)
                continue
            layer.data, ours = self._before[output]
            layer.metadata = {KEY: ours}
            for name, value in self._place(layer.ndim, ours["offset"]).items():
                setattr(layer, name, value)
        self.layers, self.complete = {o: self.layers[o] for o in self._before}, True

    def _add_all(self, prediction: Prediction) -> None:
        earlier = {
            part: layer
            for part, layer in parts_of(self.viewer.layers, self.source).items()
            if not self.replace or not _is_renamed(layer)
        }
        made = dict(prediction.outputs)
        if self.stacked and len(prediction.samples) > 1:
            made = {o: data for o, data in made.items() if o.role != "sample"}
            made[SAMPLES] = prediction.samples
        names = {output.name for output in made}
        others = [layer for part, layer in earlier.items() if part not in names]
        for layer in others if self.replace else []:
            if "model_hash" in layer.metadata[KEY]:
                self._stale.append(layer)
            elif role_of(layer) is not None:  # a view of the earlier results
                self.viewer.layers.remove(layer)
        if PREVIEW in earlier:
            self.viewer.layers.remove(earlier[PREVIEW])  # the results show more
        active = self.viewer.layers.selection.active
        below = [self.source, *({} if self.replace else earlier).values()]
        for output, data in made.items():  # the mean next to its source, samples on top
            kept = earlier.get(output.name) if self.replace else None
            if kept is not None:
                self._before[output] = kept.data, dict(kept.metadata[KEY])
                self._put(kept, data)
                self.layers[output] = kept
            else:
                self.layers[output] = self._add(output, data, below)
        self.viewer.layers.selection.active = active
        self._drawn = time.monotonic()

    def _put(self, layer: ImageLayer, data: Any) -> None:
        layer.data = data
        for name, value in self._place(layer.ndim, self.offset).items():
            setattr(layer, name, value)
        ours = layer.metadata[KEY] | self.provenance | {"offset": self.offset}
        layer.metadata = {KEY: ours}

    def _add(
        self, output: Output, data: Any, below: Sequence[ImageLayer]
    ) -> ImageLayer:
        source = self.source
        name = part_name(source.name, output.name)
        if name in self.viewer.layers and not self.replace:
            name += f" ({self.method})"
        spread = output.role == "spread"
        limits = (0.0, 1.0) if spread else tuple(source.contrast_limits)
        layers = self.viewer.layers
        layer = add_part(
            self.viewer,
            source,
            output.name,
            data,
            output,
            name=name,
            colormap="magma" if spread else source.colormap,
            contrast_limits=limits,
            gamma=source.gamma,
            visible=output == MEAN,
            **self._place(data.ndim, self.offset),
        )
        layer.metadata[KEY] |= self.provenance | {"offset": self.offset}
        found = [layers.index(one) for one in below if one in layers]
        if found:
            above = max(found) + 1 + len(self.layers)
            layers.move(layers.index(layer), min(above, len(layers)))
        return layer

    def _place(self, ndim: int, offset: Sequence[int] | None) -> dict[str, Any]:
        """Return the place of a result; a stack has an axis more than the source."""
        look = place(self.source, offset=offset)
        return look if ndim == self.source.ndim else with_sample_axis(look)

    def _refresh(self) -> None:
        """Redraw visible layers; fit the contrast of the spread to finished pixels."""
        self._drawn = time.monotonic()
        spread = next((x for o, x in self.layers.items() if o.role == "spread"), None)
        if spread is not None:
            ours = self._limits is None or spread.contrast_limits == self._limits
            if ours:  # otherwise the user has changed the limits
                _fit_contrast(spread)
                self._limits = list(spread.contrast_limits)
        for layer in self.layers.values():
            if layer.visible:
                layer.refresh()


def _is_renamed(layer: ImageLayer) -> bool:
    """Whether the user gave a result another name: it is to be kept."""
    ours = layer.metadata[KEY]
    made = re.escape(part_name(ours["source"], ours["part"]))
    counted = made + r"( \([^)]*\))?( \[\d+\])?" + f"({re.escape(PARTIAL)})?"
    return re.fullmatch(counted, layer.name) is None


def _fit_contrast(layer: ImageLayer) -> None:
    data = np.asarray(layer.data)
    step = max(1, round((data.size / LOOKED_AT) ** (1 / data.ndim)))
    thin = data[(slice(None, None, step),) * data.ndim]
    drawn = thin[thin > 0]
    if drawn.size:
        high = float(np.quantile(drawn, 0.995))
        layer.contrast_limits_range = (0.0, max(high, float(drawn.max())))
        layer.contrast_limits = (0.0, high)
