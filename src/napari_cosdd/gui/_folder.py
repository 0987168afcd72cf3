"""Denoising of all images in a folder, into another folder."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from napari_cosdd import api
from napari_cosdd.errors import IMAGE_ERRORS, BadInputError
from napari_cosdd.events import Event, TileDone, Warned, Written
from napari_cosdd.gui._models import ModelEntry, filling
from napari_cosdd.images.formats.search import search
from napari_cosdd.images.selection import EACH
from napari_cosdd.prediction.batch import (
    ImageFile,
    denoising_to_files,
    requests_for,
)
from napari_cosdd.prediction.earlier import Earlier


def denoising_folder(
    source: Path,
    target: Path,
    entry: ModelEntry,
    config: api.PredictionConfig,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """Denoise all images of a folder; yield a TileDone and a Written for each.

    An image that cannot be denoised is named in a Warned, and the others go on. One
    whose results, of the same settings, are there already is left out, so that a run
    can be repeated; files that this model did not make are never replaced. A model of
    one channel sees the channels of an image one by one.

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
    paths, notes = search(source)
    yield from map(Warned, notes)
    channel = EACH if model.spec.n_channels == 1 else None
    images = [
        ImageFile(path, name, channel=channel)
        for path, name in zip(paths, api.distinct_names(paths), strict=True)
    ]
    requests = requests_for(
        images, model, entry.name, target, config, fill=filling(model)
    )
    began = time.monotonic()
    for done, (image, request) in enumerate(zip(images, requests, strict=True)):
        earlier = Earlier.at(request)
        if foreign := earlier.foreign():
            yield Warned(
                f"{image.name} was left out: {foreign.name} is no result of this "
                "model; choose another folder"
            )
        else:
            try:
                yield from _one(model, image, earlier, stop)
            except IMAGE_ERRORS as error:
                yield Warned(f"{image.name}: {error}")
        if stop():
            return
        passed = time.monotonic() - began
        left = passed / (done + 1) * (len(images) - done - 1)
        yield TileDone(done + 1, len(images), passed, left)


def _one(
    model: Any, file: ImageFile, earlier: Earlier, stop: Callable[[], bool]
) -> Iterator[Event]:
    """Denoise one image and write its results; warnings name the image."""
    image = file.open()
    if earlier.is_complete(image):
        yield Warned(f"{file.name} was done before")
        return
    for doubt in image.doubts:
        yield Warned(f"{file.name}: {doubt}")
    for event in denoising_to_files(
        model, image, earlier.request, stop, overwrite=True
    ):
        if isinstance(event, Warned):
            yield Warned(f"{file.name}: {event.message}")
        elif isinstance(event, Written):
            yield event
