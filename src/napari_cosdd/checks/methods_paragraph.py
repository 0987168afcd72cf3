"""The paragraph for the methods section of a paper, and what to cite."""

from napari_cosdd._version import __version__
from napari_cosdd.checks.check import ModelCheck
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.prediction.outputs import draws_samples
from napari_cosdd.prediction.sampling import test_time_views
from napari_cosdd.settings.prediction import PredictionConfig

#: Number of digits of a model's hash that are printed; enough to identify it.
HASH = 12


def methods_paragraph(
    model: TrainedModel,
    settings: PredictionConfig | None = None,
    check: ModelCheck | None = None,
) -> str:
    """Describe training, denoising and the check for a paper, with citations.

    Parameters
    ----------
    model : TrainedModel
        Trained model.
    settings : PredictionConfig, optional
        Settings of the denoising; without them only the training is described.
    check : ModelCheck, optional
        The check of the model on the images of the paper; what fails is named, too.

    Returns
    -------
    str
        Plain text: a paragraph, then the references.
    """
    papers = model.method.papers()
    sentences = [
        f"Images were denoised with {model.method.title} "
        f"[{', '.join(str(i + 1) for i in range(len(papers)))}] as implemented in "
        f"napari-cosdd {__version__} (model {model.fingerprint[:HASH]}).",
        model.method.networks_in_words(),
        _training(model),
    ]
    if settings is not None:
        sentences.append(_denoising(model, settings))
    if check is not None:
        sentences.append(_check(check))
    listed = [f"[{i}] {paper}" for i, paper in enumerate(papers, start=1)]
    return " ".join(sentences) + "\n\n" + "\n".join(listed) + "\n"


def _training(model: TrainedModel) -> str:
    data, config = model.trained_on, model.training
    steps = [s for s in model.history.get("step", []) if s is not None]
    n = data.n_images
    images = f"{n} noisy image{'s' if n != 1 else ''}" if n else "noisy images"
    target = model.method.needs.target
    alone = {
        "none": " alone, without clean images",
        "clean": " and clean images of the same scenes",
        "noisy": " and second noisy images of the same scenes",
    }[target]
    shapes = {" × ".join(map(str, s)) for s in data.shapes}
    size = f" of {shapes.pop()} pixels" if len(shapes) == 1 else ""
    start = data.start or "random weights"
    long = f" for {steps[-1]:.0f} steps" if steps else ""
    return (
        f"It was trained{long} on {images}{size}{alone}, starting "
        f"from {start} (crops of {config.crop_size} pixels, {config.batch_size} in a "
        f"step, learning rate {config.learning_rate:g}, seed {config.seed})."
    )


def _denoising(model: TrainedModel, settings: PredictionConfig) -> str:
    said = _estimate(model, settings)
    if sigma := settings.keep_brightness:
        said += (
            " The residual, blurred by a Gaussian with a deviation of "
            f"{sigma:g} pixels, was added to keep the brightness."
        )
    return said


def _estimate(model: TrainedModel, settings: PredictionConfig) -> str:
    if settings.direct:
        return "Denoised images are the output of the direct denoiser."
    if not draws_samples(model.method, settings):
        return "Denoised images are the network's estimate."
    pairs = ", drawn in mirrored pairs" if settings.antithetic else ""
    views = test_time_views(model, settings)
    kinds = ["shifted"] if any(any(view.shifts) for view in views) else []
    kinds += ["flipped"] if any(view.flipped for view in views) else []
    if kinds:
        pairs += f" from {' and '.join(kinds)} views of the image in turn"
    return (
        f"Denoised images are the mean of {settings.n_samples} posterior samples"
        f"{pairs} (MMSE estimate, seed {settings.seed}); uncertainty is their "
        "standard deviation."
    )


def _check(check: ModelCheck) -> str:
    """Say how many conditions of a right result hold, and which do not."""
    judged = [f for f in check.findings if f.passed is not None]
    held = len(judged) - len(check.failed)
    said = (
        "Whether the result can be right was tested without ground truth (removed "
        f"noise, posterior, training): {held} of {len(judged)} conditions hold"
    )
    if check.failed:
        titles = "; ".join(f"“{finding.title}”" for finding in check.failed)
        said += f", these do not: {titles}"
    return said + "."
