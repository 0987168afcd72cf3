"""The paragraph for the methods section of a paper, and what to cite."""

from typing import Any, NamedTuple

from napari_cosdd._version import __version__
from napari_cosdd.inference.config import InferenceConfig
from napari_cosdd.training.checkpoint import TrainedModel

AXES = {"x": "rows (x)", "y": "columns (y)", "z": "the z axis"}


class Paper(NamedTuple):
    """What to cite."""

    text: str
    doi: str

    def __str__(self) -> str:
        return f"{self.text} doi:{self.doi}"


REFERENCES = {
    "cosdd": Paper(
        "B. Salmon and A. Krull, Unsupervised Denoising for Signal-Dependent and "
        "Row-Correlated Imaging Noise, WACV 2025.",
        "10.48550/arXiv.2310.07887",
    ),
    "n2v": Paper(
        "A. Krull, T.-O. Buchholz and F. Jug, Noise2Void - Learning Denoising from "
        "Single Noisy Images, CVPR 2019.",
        "10.1109/CVPR.2019.00223",
    ),
    "sn2v": Paper(
        "C. Broaddus, A. Krull, M. Weigert, U. Schmidt and G. Myers, Removing "
        "Structured Noise with Self-Supervised Blind-Spot Networks, ISBI 2020.",
        "10.1109/ISBI45749.2020.9098336",
    ),
}
#: Letters of a model's hash that are enough to recognize it.
HASH = 12


def methods_paragraph(
    model: TrainedModel, settings: InferenceConfig | None = None
) -> str:
    """Describe training and denoising for a paper, with citations.

    Parameters
    ----------
    model : TrainedModel
        What was used.
    settings : InferenceConfig, optional
        How images were denoised with it; else only the training is described.

    Returns
    -------
    str
        Plain text: a paragraph, then the references.
    """
    papers = cited(model)
    sentences = [
        f"Images were denoised with {model.method.title} "
        f"[{', '.join(str(i + 1) for i in range(len(papers)))}] as implemented in "
        f"napari-cosdd {__version__} (model {model.fingerprint[:HASH]}).",
        _networks(model),
        _training(model),
    ]
    if settings is not None:
        sentences.append(_denoising(model, settings))
    listed = [f"[{i}] {REFERENCES[key]}" for i, key in enumerate(papers, start=1)]
    return " ".join(sentences) + "\n\n" + "\n".join(listed) + "\n"


def cited(model: TrainedModel) -> list[str]:
    """Return the keys of the papers to cite for a model."""
    if model.name == "n2v" and model.method.config.noise_axis != "none":
        return ["n2v", "sn2v"]
    return [model.name]


def _networks(model: TrainedModel) -> str:
    config: Any = model.method.config
    axis = AXES.get(config.noise_axis)
    if model.name == "n2v":
        masks = f"lines along {axis}" if axis else "points"
        return f"A U-Net was trained to predict masked pixels; the masks were {masks}."
    noise = "the noise was taken as independent from pixel to pixel"
    if axis:
        noise = (
            f"the noise was modelled by an autoregressive decoder along {axis} with a "
            f"receptive field of {config.receptive_field} pixels"
        )
    return (
        f"A hierarchical variational autoencoder with {config.n_levels} levels of "
        f"latents and {config.n_channels} channels represents the signal; {noise} and "
        f"{config.n_components} Gaussian components per pixel."
    )


def _training(model: TrainedModel) -> str:
    data, config = model.trained_on, model.training
    steps = [s for s in model.history.get("step", []) if s is not None]
    n = data.get("n_images", 0)
    images = f"{n} noisy image{'s' if n != 1 else ''}" if n else "noisy images"
    shapes = {" × ".join(map(str, s)) for s in data.get("shapes", [])}
    size = f" of {shapes.pop()} pixels" if len(shapes) == 1 else ""
    start = data.get("start", "random weights")
    long = f" for {steps[-1]:.0f} steps" if steps else ""
    return (
        f"It was trained{long} on {images}{size} alone, without clean images, starting "
        f"from {start} (crops of {config.crop_size} pixels, {config.batch_size} in a "
        f"step, learning rate {config.learning_rate:g}, seed {config.seed})."
    )


def _denoising(model: TrainedModel, settings: InferenceConfig) -> str:
    if settings.direct:
        return "Denoised images are the output of the direct denoiser."
    if not hasattr(model.method, "sample_posterior"):
        return "Denoised images are the network's estimate."
    pairs = ", drawn in mirrored pairs" if settings.antithetic else ""
    if settings.flip and model.method.symmetries():
        pairs += " from flipped and unflipped views of the image in turn"
    return (
        f"Denoised images are the mean of {settings.n_samples} posterior samples"
        f"{pairs} (MMSE estimate, seed {settings.seed}); uncertainty is their "
        "standard deviation."
    )
