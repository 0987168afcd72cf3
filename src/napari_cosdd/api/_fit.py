"""Train a denoiser."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_cosdd._deprecation import take_former
from napari_cosdd.api._events import result_of
from napari_cosdd.api._former import START, filling
from napari_cosdd.errors import BadInputError, StoppedError
from napari_cosdd.events import Event
from napari_cosdd.images.files import check_no_input, check_output, check_suffix
from napari_cosdd.images.filling import Fill
from napari_cosdd.images.inputs import ImageLike
from napari_cosdd.images.selection import Channel, Selected
from napari_cosdd.interrupts import stop_on
from napari_cosdd.methods.registry import DEFAULT
from napari_cosdd.models.load import opened_model
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.training.recipe import Recipe, check_init_model
from napari_cosdd.training.request import TrainingRequest
from napari_cosdd.training.saving import check_interrupted


def fit(
    images: ImageLike | Sequence[ImageLike],
    *,
    targets: ImageLike | Sequence[ImageLike] | None = None,
    validation: ImageLike | Sequence[ImageLike] | None = None,
    validation_targets: ImageLike | Sequence[ImageLike] | None = None,
    axes: str | None = None,
    method: str = DEFAULT,
    preset: str | None = None,
    ndim: int = 2,
    fill: Fill | None = None,
    region: Selected | None = None,
    channel: Channel | None = None,
    salvage: bool = False,
    noise_model: NoiseModel | Path | str | None = None,
    init_model: TrainedModel | Path | str | None = None,
    output: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_event: Callable[[Event], object] | None = None,
    **settings: Any,
) -> TrainedModel:
    """Train a denoiser.

    Parameters
    ----------
    images : array, path, Image, or a sequence of them
        Noisy. One image is enough; a path may be a folder. Sizes may differ.
    targets : like `images`, optional
        One for each image, in the same order: clean images for "care", second noisy
        ones for "n2n".
    validation, validation_targets : like `images`, optional
        Images to validate on, and their targets. Default: a part of `images` is held
        out.
    axes : str, optional
        Letters of "STCZYX"; default: as the files say, or guessed.
    method, preset : str
        As `napari-cosdd train --help` lists them; by default, the preset suits the
        device.
    ndim : {1, 2, 3}
        3 treats Z as space, 2 as separate planes.
    fill : {"nothing", "missing", "outliers"}
        Pixels to fill: those that are not finite, or outliers as well; they do not
        count in the training.
    region : rectangle, mask or file, optional
        The part of every image to learn from: slices of y and x, a mask (y, x), its
        file, or "y0:y1,x0:x1".
    channel : int or "each", optional
        Use this channel alone, from 0; or each by itself, so that one model sees them
        one by one. Default: all together, from random weights.
    salvage : bool
        Use what is whole of files that are cut short, or of sets with missing files.
    noise_model : NoiseModel or path, optional
        For methods that need one; from `calibrate`.
    init_model : TrainedModel or path, optional
        Start from this model's weights and keep its networks. Its method and settings
        then apply: `preset` is ignored, and method settings must equal the model's.
    output : path, optional
        Model file to write while training. An interrupt (Ctrl-C, or that of a
        notebook) then ends the training in good order, with its files saved, before
        it is raised; a second one is raised at once.
    resume : bool
        Go on with the interrupted training of `output`. Its method, settings, noise
        model and first weights apply, but for the `settings` that are given.
    overwrite : bool
        Replace a model at `output`, and the state of an interrupted training.
    on_event : callable, optional
        Called with each event; see `napari_cosdd.events`. Default: warnings are
        issued as CosddWarning.
    **settings
        Any field of the method's or the training's config, such as
        ``noise_axis="x"``, ``time_limit=5`` (minutes) or ``max_steps=2000``.

    Returns
    -------
    TrainedModel

    Raises
    ------
    BadInputError
        If an image or a setting is invalid, or `output` exists.
    BadModelFileError
        If there is nothing to resume.
    TrainingDivergedError, PosteriorCollapseError, NotEnoughMemoryError
        If training fails after all attempts to recover.
    """
    path = None if output is None else Path(output).expanduser()
    if path is not None:
        check_suffix(path, ".safetensors")
        if not resume:
            check_output(path, overwrite)
            check_interrupted(path, overwrite)
    elif resume:
        raise BadInputError("to resume, give `output`: the model file of the training")
    if path is not None and isinstance(noise_model, (str, Path)):
        check_no_input([path], [Path(noise_model)])
    former = take_former(settings, START)
    fill = filling(settings, fill) or "nothing"
    first = former.get("init_model", init_model)
    init = None if first is None else opened_model(first)
    if init is not None:
        check_init_model(init, None, settings)
        method = init.name
    request = TrainingRequest(
        Recipe.preset(method, preset if init is None else None),
        images,
        targets=targets,
        validation=validation,
        validation_targets=validation_targets,
        axes=axes,
        salvage=salvage,
        channel=channel,
        ndim=ndim,
        fill=fill,
        region=region,
        noise_model=noise_model,
        init_model=init,
    )
    if resume and path is not None:
        request = request.resuming(path)
    request = replace(request, recipe=request.recipe.with_values(settings))
    with stop_on(["SIGINT"] if path is not None else []) as stop:
        try:
            job = request.prepare(stop)
        except StoppedError:
            raise KeyboardInterrupt from None
        events = job.run(output=path, resume=resume, stop=stop)
        result: TrainedModel = result_of(events, on_event)
        if stop():
            raise KeyboardInterrupt
    return result
