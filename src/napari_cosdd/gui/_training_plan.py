"""A training as the dock's form describes it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_cosdd import api
from napari_cosdd.events import Event, Warned
from napari_cosdd.images.filling import Fill
from napari_cosdd.training.recipe import resumed


@dataclass(frozen=True)
class TrainingPlan:
    """All that a training needs; what takes long is read by `run`, in its thread.

    Attributes
    ----------
    recipe : Recipe
        Settings of method and training.
    images : list of Image, or Path
        Images to learn from, or their folder.
    axes : str or None
        Axes of the images in the folder.
    taking : callable
        Takes the chosen channel of an image.
    targets : callable
        Returns the targets, one for each image; none for most methods.
    validation : list of Image
        Images to validate on; none: a part is held out.
    ndim : int
        Number of spatial axes.
    fill : {"nothing", "missing", "outliers"}
        Pixels to fill.
    region : ndarray of bool or None
        Mask of the part to learn from.
    noise_model : Path or None
        Noise model file.
    start : callable
        Returns the model to start from, or None.
    interrupted : Path or None
        Model file of an interrupted training to go on with, in place of the recipe.
    """

    recipe: "api.Recipe[Any]"
    images: list[api.Image] | Path
    axes: str | None
    taking: Callable[[api.Image], api.Image]
    targets: Callable[[], list[api.Image]]
    validation: list[api.Image]
    ndim: int
    fill: Fill
    region: NDArray[Any] | None
    noise_model: Path | None
    start: Callable[[], Any]
    interrupted: Path | None

    def run(self, path: Path, stop: Callable[[], bool]) -> Iterator[Event]:
        """Train, and write the model to a path."""
        images = self.images
        if isinstance(images, Path):
            images = api.as_images(images, self.axes)
        if self.interrupted is not None:
            recipe, first, assets = resumed(self.interrupted)
        else:
            recipe, first = self.recipe, self.start()
            assets = api.opened_assets(self.noise_model)
        job = api.prepare_run(
            images,
            recipe,
            targets=list(map(self.taking, self.targets())),
            validation=list(map(self.taking, self.validation)),
            assets=assets,
            ndim=self.ndim,
            fill=self.fill,
            region=self.region,
            init_model=first,
            stop=stop,
        )
        yield from map(Warned, job.warnings)
        resume = self.interrupted is not None
        yield from job.run(output=path, resume=resume, stop=stop)
