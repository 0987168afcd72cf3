import gc
from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from helpers import build
from napari_cosdd.gui._models import ModelEntry
from napari_cosdd.gui.denoise_widget import DenoiseWidget
from napari_cosdd.models.trained_model import TrainedModel


@pytest.fixture
def trust(viewer, session, stripes, model, shown):
    session.add_model(ModelEntry("ours", None, model))
    return shown(DenoiseWidget(viewer)).trust


@pytest.fixture
def checked(trust, session, wait):
    trust.run.click()
    wait(lambda: session.checking is not None and not session.checking.job.active)
    assert session.checking.job.error is None
    return trust


def test_without_model_or_image_it_says_why_not(viewer, shown):
    trust = shown(DenoiseWidget(viewer)).trust
    for button in (trust.run, trust.copy, trust.page):
        assert not button.isEnabled()
    assert "Choose a model" in trust.run.toolTip()
    assert trust.details.isHidden()


def test_the_verdict_and_all_checks_are_shown(checked):
    assert "checks want a look" in checked.verdict.text()
    assert "Train longer." in checked.verdict.text()  # six steps are none
    parts = checked.list.text().split("<p>")[1:]
    assert len(parts) == 12
    assert parts[3].startswith("<b>! It was trained long enough: no</b><br>6 steps")
    assert not checked.details.isHidden()


def test_each_image_and_model_has_its_own_verdict(checked, viewer, session, model):
    dock = checked.window()
    viewer.add_image(np.ones((64, 64), np.float32), name="other")
    dock.source.image.choose(viewer.layers["other"])
    assert checked.verdict.text() == ""
    dock.source.image.choose(viewer.layers["cells"])
    assert "want a look" in checked.verdict.text()
    session.add_model(ModelEntry("the same", None, model))
    dock.model.choice.setCurrentText("the same")
    assert checked.found is not None
    other = replace(model, method=build("cosdd").eval())
    session.add_model(ModelEntry("theirs", None, other))
    dock.model.choice.setCurrentText("theirs")
    assert checked.found is None


def test_what_goes_wrong_is_said_and_kept_from_the_results(
    viewer, session, model, shown, wait
):
    session.add_model(ModelEntry("ours", None, model))
    viewer.add_image(np.zeros((64, 64), np.float32), name="empty")
    trust = shown(DenoiseWidget(viewer)).trust
    trust.run.click()
    wait(lambda: not session.checking.job.active)
    assert "⚠" in trust.problem.text.text()
    assert trust.found is None
    assert trust.run.isEnabled()


def test_a_denoising_ends_a_check_and_waits_for_its_end(trust, session, wait):
    dock = trust.window()
    trust.run.click()
    checking = session.checking.job
    dock.run.click()
    assert session.denoising is None
    wait(lambda: session.denoising is not None)
    assert not checking.active
    assert not trust.run.isEnabled()
    wait(lambda: not session.denoising.job.active)
    assert session.denoising.about.complete
    assert trust.run.isEnabled()


def test_what_was_chosen_is_denoised_after_the_wait(trust, session, wait, viewer):
    dock = trust.window()
    cells = viewer.layers["cells"]
    other = viewer.add_image(cells.data + 5, name="other")
    dock.source.image.choose(cells)
    trust.run.click()
    dock.run.click()
    assert "starts when the check has stopped" in dock.bar.format()
    dock.source.image.choose(other)
    wait(lambda: session.denoising is not None)
    assert session.denoising.about.image == "cells"
    wait(lambda: not session.denoising.job.active)


def test_a_denoising_that_waits_can_be_cancelled(trust, session, wait):
    dock = trust.window()
    trust.run.click()
    checking = session.checking.job
    dock.run.click()
    assert dock.cancel.isEnabled()
    dock.cancel.click()
    wait(lambda: not checking.active)
    assert session.denoising is None
    assert dock.run.isEnabled()


def test_each_result_is_checked_by_itself_if_wanted(trust, session, wait):
    dock = trust.window()
    trust.always.setChecked(True)
    assert session.check_results
    dock.samples.n_samples.setValue(4)
    dock.run.click()
    wait(lambda: trust.light.isVisible())
    assert trust.found.grade.capitalize() in trust.light.text()
    trust.run.click()
    assert not trust.light.isVisible()  # no verdict while it is checked again
    wait(lambda: trust.light.isVisible())


def test_the_page_is_saved_and_the_paragraph_copied(checked, tmp_path, model):
    checked.save_to(tmp_path / "page")
    assert (tmp_path / "page.png").exists()
    checked.copy.click()
    text = QApplication.clipboard().text()
    assert model.fingerprint[:12] in text
    assert "WACV 2025" in text


def test_the_paragraph_tells_of_this_model_only(checked, session, wait, model):
    dock = checked.window()
    checked.copy.click()
    assert "posterior samples" not in QApplication.clipboard().text()
    dock.samples.n_samples.setValue(6)
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    checked.copy.click()
    assert "mean of 6 posterior samples" in QApplication.clipboard().text()
    other = build("cosdd")
    session.add_model(ModelEntry("other", None, replace(model, method=other)))
    dock.model.choice.setCurrentText("other")
    checked.copy.click()
    assert "posterior samples" not in QApplication.clipboard().text()


def test_pixels_that_changed_have_no_verdict(checked, stripes):
    stripes.data = stripes.data[::-1].copy()
    assert checked.found is None


def test_pixels_that_are_gone_leave_no_verdict_to_others(checked, session, stripes):
    """What is new may lie where they lay."""
    assert session.checks
    stripes.data = stripes.data[::-1].copy()
    gc.collect()
    assert not session.checks


def test_a_page_that_cannot_be_saved_is_told(checked, tmp_path):
    checked.save_to(tmp_path / "nowhere" / "page.png")
    assert "nowhere" in checked.problem.text.text()


def test_a_damaged_model_is_told(viewer, session, stripes, shown, tmp_path, wait):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"nonsense")
    session.add_model(ModelEntry("bad", path))
    trust = shown(DenoiseWidget(viewer)).trust
    trust.run.click()
    assert "damaged" in trust.problem.text.text()
    trust.copy.click()
    assert "damaged" in trust.problem.text.text()
    assert isinstance(session.models[0].model, TrainedModel | None)


def test_a_clean_image_gives_scores_and_calibration(
    checked, viewer, session, pair, wait
):
    dock = checked.window()
    assert not checked.coverage.isVisible()
    assert checked.against_truth.text() == ""
    viewer.add_image(pair[0], name="clean")
    dock.source.image.choose(viewer.layers["cells"])
    dock.compare.reference.choose(viewer.layers["clean"])
    assert checked.found.coverage is None  # it was checked without the truth
    checked.run.click()
    wait(lambda: not session.checking.job.active)
    found = checked.found
    assert found.scores is not None
    assert f"PSNR {found.scores.psnr:.2f} dB" in checked.against_truth.text()
    assert "50, 80, 95 % intervals" in checked.against_truth.text()
    assert not checked.coverage.isHidden()
    dock.compare.reference.setCurrentText("none")
    assert checked.against_truth.text() == ""
    assert checked.coverage.isHidden()


def test_a_clean_image_of_another_size_is_refused(checked, viewer, session, wait):
    dock = checked.window()
    viewer.add_image(np.ones((9, 9), np.float32), name="clean")
    dock.source.image.choose(viewer.layers["cells"])
    dock.compare.reference.choose(viewer.layers["clean"])
    checked.run.click()
    wait(lambda: not session.checking.job.active)
    assert "the reference has axes YX and shape (9, 9)" in checked.problem.text.text()
