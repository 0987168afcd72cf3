"""Conversion of resume states of release 0.1.0 to the present form."""

from collections.abc import Mapping
from typing import Any

from napari_cosdd.datasets.spec import DataSpec
from napari_cosdd.methods.registry import get_method


def converted(old: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a state of release 0.1.0 to the present form.

    Raises
    ------
    KeyError, ValueError
        If it is not a state of 0.1.0.
    """
    training, identity, recipe = old["training"], old["settings"], old["recipe"]
    config = get_method(recipe["method"]).Config.model_validate(identity["method"])
    spec = DataSpec.model_validate(identity["spec"])
    redrawn = training["redrawn"]
    return {
        "version": 1,
        "wrote_model": training["wrote_model"],
        "state": {
            "best": {
                "weights": training["best_weights"],
                "criterion": training["best"],
                "has_problem": training["best_collapsed"],
                "stale": training["stale"],
            },
            "sound": training["good"],
            "reference": redrawn,
            **{k: training[k] for k in ("step", "seconds", "history")},
            **{k: training[k] for k in ("started_at", "started_step")},
        },
        "recovery": {
            k: training[k]
            for k in ("skipped", "skipped_in_row", "rollbacks", "restarts")
        },
        "stepper": old["learner"],
        "crops": old["crops"],
        "identity": {
            **identity,
            "method": config.model_dump(),
            "spec": spec.model_dump(),
            "noise_model": None,
        },
        "recipe": recipe,
        "init_model": old["start"],
    }
