"""The request to train a denoiser: what a user gives, before any image is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_cosdd.images.filling import Fill
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import ImageLike, as_images
from napari_cosdd.images.selection import Channel, Selected, channel_of, fitting
from napari_cosdd.methods.values import Assets
from napari_cosdd.models.load import opened_model
from napari_cosdd.models.noise_model_file import opened_noise_model
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.training.job import TrainingJob
from napari_cosdd.training.prepare import prepare_run
from napari_cosdd.training.recipe import Recipe, resumed

Images = ImageLike | Sequence[ImageLike]


@dataclass(frozen=True)
class TrainingRequest:
    """The images, files and settings to train with.

    Attributes
    ----------
    recipe : Recipe
        Settings of method and training.
    images : array, path, Image, or several of them
        Noisy images to learn from; a path may be a folder.
    targets : like `images`, optional
        One for each image, if the method learns from pairs.
    validation, validation_targets : like `images`, optional
        Images to validate on, and their targets.
    axes : str, optional
        Letters of "STCZYX" for all that is no Image yet.
    salvage : bool
        Read what is whole of damaged files.
    channel : int or "each", optional
        Channel of every image to take, or each by itself.
    ndim, fill, region
        As in `prepare_run`.
    noise_model : NoiseModel or path, optional
        For methods that need one.
    init_model : TrainedModel or path, optional
        The model to start from.
    """

    recipe: Recipe[Any]
    images: Images
    targets: Images | None = None
    validation: Images | None = None
    validation_targets: Images | None = None
    axes: str | None = None
    salvage: bool = False
    channel: Channel | None = None
    ndim: int = 2
    fill: Fill = "nothing"
    region: Selected | None = None
    noise_model: NoiseModel | Path | str | None = None
    init_model: TrainedModel | Path | str | None = None

    def resuming(self, model: Path) -> "TrainingRequest":
        """Return the request with the settings of an interrupted training.

        Parameters
        ----------
        model : Path
            The model file of that training.

        Raises
        ------
        BadModelFileError
            If there is no such training, or its state is damaged.
        """
        recipe, init_model, assets = resumed(model)
        return replace(
            self, recipe=recipe, init_model=init_model, noise_model=assets.noise_model
        )

    def prepare(self, stop: Callable[[], bool] = lambda: False) -> TrainingJob:
        """Read the images and files, and prepare the training.

        Parameters
        ----------
        stop : callable
            Polled while the images are read; True stops the preparation.

        Raises
        ------
        BadInputError, BadModelFileError
            If an image, a file or a setting is invalid.
        StoppedError
            If `stop` returned True.
        """
        first = self.init_model
        init_model = None if first is None else opened_model(first)
        assets = Assets(opened_noise_model(self.noise_model))
        images, validation = self._opened(self.images), self._opened(self.validation)
        return prepare_run(
            images,
            self.recipe,
            targets=self._targets(self.targets, images),
            validation=validation,
            validation_targets=self._targets(self.validation_targets, validation),
            assets=assets,
            ndim=self.ndim,
            fill=self.fill,
            region=self.region,
            init_model=init_model,
            stop=stop,
        )

    def _opened(self, given: Images | None) -> list[Image]:
        if given is None:
            return []
        several = as_images(given, self.axes, salvage=self.salvage)
        return [channel_of(image, self.channel) for image in several]

    def _targets(self, given: Images | None, images: list[Image]) -> list[Image]:
        """Open targets; one of a single channel serves any channel of its image."""
        if given is None:
            return []
        several = as_images(given, self.axes, salvage=self.salvage, results=True)
        if self.channel is None or len(several) != len(images):
            return several
        pairs = zip(several, images, strict=True)
        return [fitting(target, image, self.channel) for target, image in pairs]
