import gc
import weakref

import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QCoreApplication, QEvent

from napari_cosdd.api import Image, denoising
from napari_cosdd.errors import BadInputError
from napari_cosdd.gui import _session
from napari_cosdd.gui._jobs import Job
from napari_cosdd.gui._models import ModelEntry, new_model_path
from napari_cosdd.gui._records import DenoisingRecord, TrainingRecord
from napari_cosdd.gui._results import ResultLayers
from napari_cosdd.gui._session import session_of
from napari_cosdd.settings.prediction import PredictionConfig


def test_all_docks_of_a_viewer_share_its_session(viewer):
    assert session_of(viewer) is session_of(viewer)
    assert session_of(viewer) is not session_of(ViewerModel())


def test_models_of_one_name_can_be_told_apart(session, tmp_path):
    for folder in ("a", "b"):
        session.add_model(ModelEntry("cells", tmp_path / folder / "cells.safetensors"))
    assert [m.name for m in session.models] == ["cells (b)", "cells"]


def test_a_viewer_and_its_session_are_let_go_after_a_denoising(qapp, model, wait):
    def use_viewer():
        viewer = ViewerModel()
        layer = viewer.add_image(np.random.default_rng(0).random((64, 64)), name="a")
        image, config = Image(layer.data, "YX"), PredictionConfig(n_samples=2, n_kept=1)
        job = Job("denoising", lambda stop: denoising(model, image, config, stop=stop))
        results = ResultLayers(viewer, layer, provenance={})
        session_of(viewer).denoise(job, DenoisingRecord("a"), results)
        wait(lambda: not job.active)
        assert "a · mean" in viewer.layers
        return weakref.ref(viewer)

    known = len(_session._SESSIONS)
    viewer = use_viewer()

    def gone():  # the worker's thread may hold it a moment longer
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()
        return viewer() is None

    wait(gone)
    assert len(_session._SESSIONS) <= known


def test_two_trainings_of_a_minute_get_two_files(own_models_folder):
    first, second = (new_model_path("cells", "quick") for _ in range(2))
    assert first != second


def test_a_training_that_fails_leaves_no_file(session, wait):
    path = new_model_path("cells", "quick")

    def work(stop):
        raise BadInputError("no")
        yield

    session.train(Job("training", work), TrainingRecord("cells", path=path))
    wait(lambda: not session.training.job.active)
    assert list(path.parent.iterdir()) == []


def test_what_is_known_of_the_noise_is_known_of_those_pixels(session, stripes):
    session.add_report(stripes, "found")
    assert session.report(stripes) == "found"
    stripes.data = stripes.data.T
    assert session.report(stripes) is None
