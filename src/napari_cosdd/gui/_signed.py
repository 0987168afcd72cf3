"""Layers of values around zero: a sample minus the mean, what was removed."""

from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray

from napari_cosdd.errors import BadInputError
from napari_cosdd.gui._layers import add_part, part_name, parts_of
from napari_cosdd.gui._places import place
from napari_cosdd.gui._plots import DIVERGING
from napari_cosdd.methods.outputs import Output

#: Largest number of pixels of such a layer; more would fill the memory.
LARGEST = 1 << 28


def show_signed(
    viewer: Any,
    source: ImageLayer,
    output: Output,
    minuend: ImageLayer | NDArray[Any],
    subtrahend: ImageLayer,
) -> None:
    """Show a difference as a layer of `source`, red above zero and blue below.

    Raises
    ------
    BadInputError
        If the two differ in shape, or are too large.
    """
    first = minuend.data if isinstance(minuend, ImageLayer) else minuend
    second = subtrahend.data
    if first.shape != second.shape:
        raise BadInputError(
            f"{subtrahend.name} differs in shape ({second.shape} and {first.shape}). "
            "Denoise again."
        )
    if second.size > LARGEST:
        raise BadInputError(
            "The image is too large for a layer of differences. Denoise the current "
            "plane only."
        )
    fine = np.result_type(first.dtype, second.dtype, np.float32)
    values = np.asarray(first, fine) - np.asarray(second, fine)
    values = values.astype(np.float32)  # once the offset is gone
    spread = float(np.nanquantile(np.abs(values[..., ::4, ::4]), 0.995)) or 1.0
    existing = parts_of(viewer.layers, source).get(output.name)
    if existing is not None:
        existing.data = values
        existing.contrast_limits = (-spread, spread)
        return
    active = viewer.layers.selection.active
    add_part(
        viewer,
        source,
        output.name,
        values,
        output,
        name=part_name(source.name, output.name),
        colormap=Colormap(np.array(DIVERGING) / 255, name="cosdd difference"),
        contrast_limits=(-spread, spread),
        **place(subtrahend),
    )
    viewer.layers.selection.active = active
