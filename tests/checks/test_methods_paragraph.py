import pytest

from napari_cosdd import api
from napari_cosdd.checks.check import ModelCheck
from napari_cosdd.checks.finding import Finding
from napari_cosdd.checks.methods_paragraph import methods_paragraph
from napari_cosdd.settings.prediction import PredictionConfig


def test_it_says_what_was_done_and_what_to_cite(model):
    text = methods_paragraph(model, PredictionConfig(n_samples=40, seed=3))
    paragraph, references = text.split("\n\n")
    for said in (
        "denoised with COSDD [1]",
        model.fingerprint[:12],
        "2 levels of latents and 8 channels",
        "autoregressive decoder along rows (x) with a receptive field of 5 pixels",
        "3 Gaussian components",
        "for 6 steps on 1 noisy image of 96 × 128 pixels alone",
        "from random weights",
        "mean of 40 posterior samples, drawn in mirrored pairs from shifted and "
        "flipped views of the image in turn",
        "seed 3",
    ):
        assert said in paragraph
    assert references.startswith("[1] B. Salmon and A. Krull")


def test_views_that_there_were_not_are_not_told(model):
    for settings in (
        {"test_time_views": False},
        {"n_samples": 2},
    ):  # a pair is of one view
        text = methods_paragraph(model, PredictionConfig(**settings))
        assert "samples, drawn in mirrored pairs (MMSE" in text


@pytest.mark.parametrize(("axis", "n"), [("x", 2), ("none", 1)])
def test_noise2void_is_cited_for_what_it_is(noisy, axis, n):
    model = api.fit(
        noisy,
        axes="YX",
        method="n2v",
        noise_axis=axis,
        receptive_field=5,
        max_steps=2,
        n_channels=8,
        n_levels=2,
        crop_size=32,
    )
    text = methods_paragraph(model, PredictionConfig())
    assert text.count("\n[") == n
    assert ("lines along rows" in text) == (axis == "x")
    assert "network's estimate" in text


def test_direct_results_are_called_so(model):
    assert "direct denoiser" in methods_paragraph(model, PredictionConfig(direct=True))
    assert "posterior samples" not in methods_paragraph(model)


def test_the_check_is_told_with_what_does_not_hold(model, make):
    good = ModelCheck.of(make())
    text = methods_paragraph(model, check=good)
    n = len([f for f in good.findings if f.passed is not None])
    assert f"{n - len(good.failed)} of {n} conditions hold" in text
    failed = Finding("axis", "The rows are gone", False, "r = 0.4", "Train longer.")
    worse = ModelCheck((*good.findings, failed), good.evidence)
    text = methods_paragraph(model, check=worse)
    assert f"{n - len(good.failed)} of {n + 1} conditions hold" in text
    assert "“The rows are gone”" in text
    assert "conditions" not in methods_paragraph(model)
