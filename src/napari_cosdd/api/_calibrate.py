"""Measure the noise model of a camera."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_cosdd.api._denoise import denoise
from napari_cosdd.errors import BadInputError
from napari_cosdd.images.files import check_suffix
from napari_cosdd.images.inputs import ImageLike, as_images, one_image
from napari_cosdd.models.noise_model_file import save_noise_model
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.measure import Calibration, measure


def calibrate(
    images: ImageLike | Sequence[ImageLike],
    *,
    clean: ImageLike | None = None,
    model: TrainedModel | Path | str | None = None,
    kind: str = "mixture",
    axes: str | None = None,
    seed: int = 0,
    output: Path | str | None = None,
    repeats: bool = True,
    salvage: bool = False,
) -> NoiseModel:
    """Measure a noise model p(x | s) of a camera.

    Parameters
    ----------
    images : array, path or Image, or a sequence of them
        Noisy. Without `clean`, repeats of a static scene, as a time series or single
        planes; their mean serves as the signal. For "poisson_gauss" a single plane
        suffices, of which the variance at levels of the signal is measured; for
        "autoregressive" a single dark or empty image, whose mean is the signal.
    clean : array, path or Image, optional
        Clean image of the same scene, in the same grey levels.
    model : TrainedModel or path, optional
        Takes the place of `clean`: the mean that it makes of the image is the signal
        (bootstrapping; Krull et al. 2020, section 3.5).
    kind : {"mixture", "histogram", "poisson_gauss", "autoregressive"}
        Kind of noise model.
    axes : str, optional
        Letters of "STCZYX".
    seed : int
        Source of randomness.
    output : path, optional
        Noise model file to write, ends in .safetensors.
    repeats : bool
        Whether the planes of a series show one static scene; False: each plane is
        measured alone, for "poisson_gauss" and "autoregressive".
    salvage : bool
        Use what is whole of files that are cut short, or of sets with missing files.

    Returns
    -------
    NoiseModel

    Raises
    ------
    BadInputError
        If images do not fit each other, or there are too few.
    """
    return calibration(
        images,
        clean=clean,
        model=model,
        kind=kind,
        axes=axes,
        seed=seed,
        output=output,
        repeats=repeats,
        salvage=salvage,
    ).model


def calibration(
    images: ImageLike | Sequence[ImageLike],
    *,
    clean: ImageLike | None = None,
    model: TrainedModel | Path | str | None = None,
    kind: str = "mixture",
    axes: str | None = None,
    seed: int = 0,
    output: Path | str | None = None,
    repeats: bool = True,
    salvage: bool = False,
) -> Calibration:
    """Measure a noise model, and return it with the variance that it should have.

    Parameters, errors: as of `calibrate`.
    """
    if output is not None:
        check_suffix(Path(output), ".safetensors")
    opened = as_images(images, axes, salvage=salvage)
    truth = None if clean is None else one_image(clean, axes)
    if model is not None:
        if truth is not None:
            raise BadInputError("give a clean image or a model, not both")
        noisy = one_image(opened)
        result = denoise(noisy, model, fill="missing")
        truth = replace(noisy, data=result.mean)
    found = measure(opened, truth, kind, seed, repeats=repeats)
    if output is not None:
        names = [image.name for image in opened][:100]
        save_noise_model(found.model, Path(output), {"images": names})
    return found
