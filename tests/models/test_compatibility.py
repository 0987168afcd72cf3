from dataclasses import replace

import numpy as np

from napari_cosdd import api
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.models.compatibility import Fit, fit_of


def test_a_model_is_judged_for_an_image_before_it_is_used(model, noisy):
    image = api.Image(noisy, "YX", name="cells")
    named = model.trained_on.model_copy(update={"names": ("cells",)})
    ours = replace(model, trained_on=named)
    assert fit_of(ours, image) == Fit("no objection", "It was trained on this image.")
    other = fit_of(ours, replace(image, name="other"))
    assert other.grade == "no objection"
    assert "cells" in other.reason
    bright = fit_of(ours, replace(image, data=noisy + 10_000))
    assert bright.grade == "use with care"
    assert "median" in bright.reason
    unsaid = replace(model, trained_on=TrainedOn())
    assert fit_of(unsaid, image).grade == "use with care"
    channels = api.Image(np.stack([noisy] * 2), "CYX")
    assert fit_of(model, channels).grade == "do not use"
    assert "2" in fit_of(model, channels).reason
