from dataclasses import replace

import numpy as np

from napari_cosdd import api
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.models.compatibility import Match, match_of


def test_a_model_is_judged_for_an_image_before_it_is_used(model, noisy):
    image = api.Image(noisy, "YX", name="cells")
    named = model.trained_on.model_copy(update={"names": ("cells",)})
    short = match_of(replace(model, trained_on=named), image)
    assert (short.grade, "6 steps only" in short.reason) == ("use with care", True)
    long = {"step": [500.0], "loss": [1.0]}
    ours = replace(model, trained_on=named, history=long)
    assert match_of(ours, image) == Match(
        "no objection", "It was trained on an image of this name."
    )
    renamed = match_of(replace(model, trained_on=named), replace(image, name="other"))
    assert (renamed.grade, "6 steps only" in renamed.reason) == ("use with care", True)
    other = match_of(ours, replace(image, name="other"))
    assert other.grade == "no objection"
    assert "cells" in other.reason
    low, _, high = model.trained_on.levels_1_50_99
    brighter = match_of(ours, replace(image, data=noisy + (high - low)))
    assert brighter.grade == "use with care"
    assert "median" in brighter.reason
    far = match_of(ours, replace(image, data=noisy + 10 * (high - low)))
    assert far.grade == "do not use"
    assert far.reason.endswith("Train on this image.")
    unsaid = replace(model, trained_on=TrainedOn())
    assert match_of(unsaid, image).grade == "use with care"
    nothing = replace(image, data=np.full_like(noisy, np.nan))
    assert match_of(ours, nothing).grade == "use with care"
    channels = api.Image(np.stack([noisy] * 2), "CYX")
    assert match_of(model, channels).grade == "do not use"
    assert "2" in match_of(model, channels).reason
