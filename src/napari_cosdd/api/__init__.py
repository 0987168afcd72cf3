"""The Python interface: analyze, recommend, calibrate, fit, denoise, check, load.

Images are numpy arrays, paths, or `Image`s. The command line and the docks use this
interface, too: `TrainingRequest` and `denoising` give them streams of events.
"""

from napari_cosdd.api._analyze import analyze, recommend
from napari_cosdd.api._calibrate import calibrate, calibration
from napari_cosdd.api._check import check
from napari_cosdd.api._denoise import denoise
from napari_cosdd.api._fit import fit
from napari_cosdd.api._former import inference_config, prepare_training, with_settings
from napari_cosdd.checks.check import ModelCheck
from napari_cosdd.exchange.export import export_bioimageio
from napari_cosdd.images.formats.search import find_images
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import as_images, distinct_names, one_image
from napari_cosdd.methods.advice import Recommendation
from napari_cosdd.methods.values import Assets
from napari_cosdd.models.load import load
from napari_cosdd.models.noise_model_file import load_noise_model, save_noise_model
from napari_cosdd.noise_analysis.report import NoiseReport
from napari_cosdd.noise_models.base import NoiseModel
from napari_cosdd.noise_models.measure import Calibration
from napari_cosdd.prediction.in_memory import Prediction, denoising
from napari_cosdd.prediction.lazy import denoise_lazily
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.training.job import TrainingJob
from napari_cosdd.training.prepare import prepare_run
from napari_cosdd.training.recipe import Recipe, check_init_model
from napari_cosdd.training.request import TrainingRequest

__all__ = [
    "Assets",
    "Calibration",
    "Image",
    "ModelCheck",
    "NoiseModel",
    "NoiseReport",
    "Prediction",
    "PredictionConfig",
    "Recipe",
    "Recommendation",
    "TrainingJob",
    "TrainingRequest",
    "analyze",
    "as_images",
    "calibrate",
    "calibration",
    "check",
    "check_init_model",
    "denoise",
    "denoise_lazily",
    "denoising",
    "distinct_names",
    "export_bioimageio",
    "find_images",
    "fit",
    "inference_config",
    "load",
    "load_noise_model",
    "one_image",
    "prepare_run",
    "prepare_training",
    "recommend",
    "save_noise_model",
    "with_settings",
]
