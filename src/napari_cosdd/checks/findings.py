"""All findings on the evidence, one for each condition of a right result.

Limits are clearly above the values of good trainings and below those of the
deliberately bad ones in tests/checks/test_check.py; see docs/measurements.md.
"""

from collections.abc import Callable

from napari_cosdd.checks import about_model, about_residual, about_samples
from napari_cosdd.checks.evidence import Evidence
from napari_cosdd.checks.finding import Finding, Judgement

#: Name, judging function, title.
Row = tuple[str, Callable[[Evidence], Judgement], str]
#: Findings in order; those that explain others come first.
JUDGES: tuple[Row, ...] = (
    ("likeness", about_model.likeness, "The image is like the training images"),
    ("range", about_model.cut, "No bright pixels were cut off"),
    ("axis", about_model.axis, "The model's noise runs as the image's does"),
    ("training", about_model.training, "It was trained long enough"),
    ("reach", about_model.reach, "The receptive field is long enough"),
    ("latents", about_model.latents, "The latents carry the signal"),
    ("across", about_residual.across, "What was removed stops at other rows"),
    (
        "structure",
        about_residual.structure,
        "What was removed holds no structure of the image",
    ),
    ("centred", about_residual.centred, "Brightness is kept at every level"),
    ("along", about_residual.along, "What was removed is correlated as the noise"),
    ("shape", about_samples.shape, "Redrawn noise is shaped like the real noise"),
    (
        "strength",
        about_samples.strength,
        "Redrawn noise is as strong at every brightness",
    ),
)
#: Additional finding if there is a clean image.
WITH_REFERENCE: Row = (
    "covered",
    about_samples.covered,
    "The clean image lies within the samples",
)


def all_findings(e: Evidence) -> list[Finding]:
    """Return all findings; those that explain others come first."""
    judges = JUDGES if e.reference is None else (*JUDGES, WITH_REFERENCE)
    return [Finding(name, title, *judge(e)) for name, judge, title in judges]
