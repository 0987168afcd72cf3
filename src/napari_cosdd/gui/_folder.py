"""Denoising of all images in a folder, into another folder."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from napari_cosdd import api
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.events import Denoised, Event, TileDone, Warned, Written
from napari_cosdd.gui._models import ModelEntry, filling
from napari_cosdd.images.files import check_writable
from napari_cosdd.prediction.outputs import outputs_of
from napari_cosdd.prediction.result_files import (
    FORMATS,
    is_of,
    made_with,
    result_paths,
    write_prediction,
)


def denoising_folder(
    source: Path,
    target: Path,
    entry: ModelEntry,
    config: api.PredictionConfig,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """Denoise all images of a folder; yield a TileDone and a Written for each.

    An image that cannot be denoised is named in a Warned, and the others go on. One
    whose results are there already is left out, so that a run can be repeated; files
    that this model did not make are never replaced.

    Raises
    ------
    BadInputError
        If there are no images, or both folders are the same.
    SavingError
        If the target cannot be written to.
    """
    if source.resolve() == target.resolve():
        raise BadInputError(
            "Choose another folder for the results than for the images."
        )
    model: Any = entry.load()
    paths = api.find_images(source)
    names = api.distinct_names(paths)
    outputs = outputs_of(model.method, config)
    made_by = made_with(entry.name, model, config, filling(model))
    began = time.monotonic()
    for done, (path, name) in enumerate(zip(paths, names, strict=True)):
        places = result_paths(target, name, outputs, FORMATS[0], overwrite=True)
        there = [one for one in places.values() if one.exists()]
        foreign = [one.name for one in there if not is_of(one, model)]
        if foreign:
            yield Warned(
                f"{name} was left out: {foreign[0]} is no result of this model; "
                "choose another folder"
            )
        elif len(there) == len(places):
            yield Warned(f"{name} was done before")
        else:
            check_writable(*places.values())
            try:
                yield from _one(path, places, model, config, made_by, stop)
            except CosddError as error:
                yield Warned(f"{name}: {error}")
        if stop():
            return
        passed = time.monotonic() - began
        left = passed / (done + 1) * (len(paths) - done - 1)
        yield TileDone(done + 1, len(paths), passed, left)


def _one(
    path: Path,
    places: Any,
    model: Any,
    config: api.PredictionConfig,
    made_by: dict[str, Any],
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """Denoise one image and write its results."""
    image = api.one_image(path)
    for event in api.denoising(model, image, config, fill=filling(model), stop=stop):
        if isinstance(event, Warned):
            yield Warned(f"{image.name}: {event.message}")
        elif isinstance(event, Denoised):
            write_prediction(places, event.result, made_by)
            yield Written(tuple(places.values()))
