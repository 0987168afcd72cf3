import threading

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QStyleOptionViewItem

from napari_cosdd import api
from napari_cosdd.devices import available_devices
from napari_cosdd.errors import BadModelFileError
from napari_cosdd.gui._channels import ONE_BY_ONE, TOGETHER
from napari_cosdd.gui._models import ModelEntry, recent_models, unfinished_trainings
from napari_cosdd.gui._start_row import FRESH, GO_ON
from napari_cosdd.gui.denoise_widget import DenoiseWidget
from napari_cosdd.gui.train_widget import TrainWidget
from napari_cosdd.images.axes import guess_axes, other_axes
from napari_cosdd.methods.registry import METHODS
from napari_cosdd.training.saving import resume_path


@pytest.fixture
def dock(viewer, stripes, shown):
    return shown(TrainWidget(viewer))


def test_everything_is_filled_in(dock):
    assert dock.image.currentText() == "cells"
    assert dock.axes.text() == "YX"
    assert dock.axes.shape.text() == "96 × 128"
    assert dock.train.isEnabled()
    assert not dock.stop.isEnabled()
    assert dock.stop.toolTip() == "Nothing is being trained"
    assert not dock.form.volume.isEnabled()


def test_the_estimate_says_time_memory_and_device(hurry, dock, wait):
    hurry(dock)
    wait(lambda: "About" in dock.estimate.text())
    assert "GB on CPU" in dock.estimate.text()


def test_findings_are_taken_over(dock, session, noisy):
    found = api.analyze(noisy, axes="YX")
    session.add_report(dock.image.layer, found)
    assert dock.form.noise.currentText() == "automatic – found along x"
    config = dock.form.recipe(dock._report()).settings
    assert config.noise_axis == "x"
    assert config.receptive_field == found.facts.receptive_field
    dock.form.noise.setCurrentText("along columns (y)")
    assert dock.form.recipe(dock._report()).settings.noise_axis == "y"


def test_training_fills_curves_preview_and_the_list_of_models(
    hurry, dock, session, wait, viewer, own_models_folder
):
    hurry(dock)
    dock.train.click()
    job, record = session.training
    assert not dock.train.isEnabled()
    assert dock.stop.isEnabled()
    wait(lambda: not job.active)
    assert job.error is None
    assert record.last.step == 40
    assert len(record.training.get("nll")[0]) == 40
    tabs = dock.view.tabs
    shown = [tabs.tabText(i) for i in range(tabs.count())]
    assert shown == ["Loss", "KL", "Signal", "Rate"]
    assert list(dock.view.plots["KL"].names) == ["kl", "kl_0", "kl_1"]
    assert len(record.validation.steps) == 4
    assert record.best_step in record.validation.steps
    assert record.path.parent == own_models_folder
    assert api.load(record.path).history["step"]
    assert session.models[0].model is record.result
    assert dock.start.choice.itemText(1) == record.path.stem
    assert dock.next.isEnabled()
    assert "complete" in dock.view.trend.text()
    for index in range(dock.view.tabs.count()):
        dock.view.tabs.setCurrentIndex(index)
    item = dock.view.plots["KL"]._items["kl_1"][1]
    assert len(item.getData()[0]) == 40


def test_stop_and_keep_gives_a_model(hurry, dock, session, wait):
    hurry(dock, max_steps="100000")
    dock.train.click()
    job, record = session.training
    wait(lambda: record.last is not None and record.last.step > 20)
    dock.stop.click()
    wait(lambda: not job.active)
    assert record.reason == "stopped"
    assert record.path.exists()
    assert not resume_path(record.path).exists()  # no dock would go on from it
    assert record.result is not None
    assert "stopped and kept" in dock.view.trend.text()


def test_a_pause_holds_and_goes_on(hurry, dock, session, wait, qtbot):
    hurry(dock, max_steps="100000")
    dock.train.click()
    job, record = session.training
    wait(lambda: record.last is not None)
    dock.pause.click()
    assert dock.pause.text() == "Continue"
    qtbot.wait(500)
    held = record.last.step
    qtbot.wait(500)
    assert record.last.step == held
    assert f"paused at step {held}" in dock.view.bar.format()
    dock.pause.click()
    wait(lambda: record.last.step > held)
    dock.stop.click()
    wait(lambda: not job.active)


def test_a_closed_dock_loses_nothing_and_a_new_one_shows_it(
    hurry, dock, viewer, session, wait, shown
):
    hurry(dock)
    dock.train.click()
    dock.close()
    job, record = session.training
    wait(lambda: not job.active)
    assert record.result is not None
    again = shown(TrainWidget(viewer))
    assert again.view.isVisible()
    assert "complete" in again.view.trend.text()
    assert again.next.isEnabled()


def test_the_layer_may_be_removed_while_training(hurry, dock, session, wait, viewer):
    hurry(dock)
    dock.train.click()
    viewer.layers.clear()
    job, record = session.training
    wait(lambda: not job.active)
    assert job.error is None
    assert record.result is not None
    assert not dock.train.isEnabled()


def test_a_wrong_setting_is_told_and_nothing_starts(hurry, dock, session):
    hurry(dock, learning_rate="fast")
    dock.train.click()
    assert session.training is None
    assert "learning_rate" in dock.problem.text.text()
    dock.form.training_form._widgets["learning_rate"].value = "0.01"
    dock.axes.letters.setText("TYX")
    dock.train.click()
    assert "name 3 axes, but the image has 2" in dock.problem.text.text()


def test_a_failed_training_is_told_in_words(hurry, dock, session, wait, monkeypatch):
    monkeypatch.setattr(
        "napari.utils.notifications.notification_manager.receive_error",
        lambda *args: None,
    )
    hurry(dock, crop_size=510)
    dock.train.click()
    wait(lambda: not session.training.job.active)
    assert "not a multiple of" in dock.problem.text.text()
    assert dock.train.isEnabled()


def test_training_goes_on_from_a_model(hurry, dock, session, wait):
    hurry(dock)
    dock.train.click()
    wait(lambda: not session.training.job.active)
    before = session.training.about
    dock.start.choice.setCurrentIndex(1)
    dock.train.click()
    wait(lambda: not session.training.job.active)
    after = session.training.about
    assert session.training.job.error is None
    assert after.path != before.path
    assert after.training.get("nll")[1][0] < before.training.get("nll")[1][0]
    assert dock.start.choice.itemText(0) == FRESH


def test_a_folder_is_trained_on(
    hurry, dock, session, wait, tmp_path, noisy, monkeypatch
):
    folder = tmp_path / "images"
    folder.mkdir()
    for k in range(2):
        tifffile.imwrite(folder / f"{k}.tif", noisy.astype(np.float32))
    monkeypatch.setattr(
        "napari_cosdd.gui.train_widget.QFileDialog.getExistingDirectory",
        lambda *args: str(folder),
    )
    dock.browse.click()
    hurry(dock)
    assert "images in images" in dock.axes.shape.text()
    dock.train.click()
    wait(lambda: not session.training.job.active)
    result = session.training.about.result
    assert result.trained_on.n_images == 2


def test_models_of_earlier_sessions_are_offered(model, own_models_folder):
    own_models_folder.mkdir()
    model.save(own_models_folder / "old.safetensors")
    (own_models_folder / "bad.safetensors").write_bytes(b"nothing")
    entries = {m.name: m for m in recent_models()}
    assert entries["old"].model is None
    assert entries["old"].load().name == "cosdd"
    with pytest.raises(BadModelFileError):
        entries["bad"].load()


def test_every_preset_has_its_forms(dock):
    for name in dock.form.presets:
        dock.form.preset.setCurrentText(name)
        assert dock.form.recipe(dock._report()).method in METHODS
        needs = dock.form.needs
        assert dock.form.noise_row.isHidden() is not needs.noise_axis
        assert dock.needs.target_row.isHidden() is (needs.target == "none")
        assert dock.needs.noise_model_row.isHidden() is not bool(needs.noise_models)


def test_stopping_before_the_first_step_leaves_no_model(
    hurry, dock, session, wait, own_models_folder, monkeypatch
):
    stopped, prepare = threading.Event(), api.TrainingRequest.prepare

    def prepare_late(request, stop):
        assert stopped.wait(30)
        return prepare(request, stop)

    monkeypatch.setattr(api.TrainingRequest, "prepare", prepare_late)
    hurry(dock)
    dock.train.click()
    session.training.job.stop()
    stopped.set()
    wait(lambda: not session.training.job.active)
    assert session.training.job.error is None
    assert session.training.about.last is None
    assert session.training.about.result is None
    assert list(own_models_folder.glob("*.safetensors")) == []
    assert not dock.next.isEnabled()


def test_a_preset_keeps_what_it_decides(dock, session, noisy):
    session.add_report(dock.image.layer, api.analyze(noisy, axes="YX"))
    dock.form.preset.setCurrentText("Noise2Void · point")
    assert dock.form.recipe(dock._report()).settings.noise_axis == "none"
    dock.form.preset.setCurrentText("COSDD · large")
    assert dock.form.recipe(dock._report()).settings.receptive_field == 40


def test_another_preset_leaves_to_the_model_what_it_decides(dock, session, model):
    session.add_model(ModelEntry("ours", None, model))
    dock.start.choice.setCurrentText("ours")
    assert not dock.form.method_form.widget.native.isEnabled()
    dock.form.preset.setCurrentText("COSDD · small")
    assert not dock.form.method_form.widget.native.isEnabled()
    dock.start.choice.setCurrentIndex(0)
    assert dock.form.method_form.widget.native.isEnabled()


def test_a_renamed_layer_keeps_its_preview(hurry, dock, session, wait, viewer):
    hurry(dock, max_steps="100000")
    dock.train.click()
    wait(lambda: session.training.about.preview is not None)
    dock.image.layer.name = "renamed"
    wait(lambda: any("preview" in x.name for x in viewer.layers))
    (layer,) = (x for x in viewer.layers if "preview" in x.name)
    low, high = map(dock.image.layer.world_to_data, layer.extent.world)
    assert (low > -1).all()  # Home shows hidden layers, too
    assert (high < dock.image.layer.data.shape).all()
    before = np.array(layer.data)
    wait(lambda: not np.array_equal(layer.data, before, equal_nan=True))
    dock.stop.click()
    wait(lambda: not session.training.job.active)
    assert [x for x in viewer.layers if "preview" in x.name] == [layer]


def test_what_a_model_decides_is_not_shown(hurry, dock, session, wait):
    hurry(dock)
    dock.train.click()
    wait(lambda: not session.training.job.active)
    dock.start.choice.setCurrentIndex(1)
    assert dock.form.preset_row.isHidden()
    assert dock.form.noise_row.isHidden()
    assert session.models[0].name in dock.start.sentence.text()
    dock.start.choice.setCurrentIndex(0)
    assert not dock.form.preset_row.isHidden()
    assert not dock.form.noise_row.isHidden()
    assert dock.start.sentence.isHidden()


def test_a_start_that_is_gone_is_told_and_starts_nothing(dock, session, model):
    session.add_model(ModelEntry("ours", None, model))
    dock.start.choice.setCurrentText("ours")
    session.models.clear()  # as another program may delete a file of a training
    dock.train.click()
    assert "ours is gone" in dock.problem.text.text()
    assert session.training is None


def test_models_of_one_name_are_told_apart(session, model, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "model.safetensors"
        model.save(path)
        session.add_model(ModelEntry(path.stem, path))
    assert [m.name for m in session.models] == ["model (b)", "model"]
    session.add_model(ModelEntry("model", tmp_path / "a" / "model.safetensors"))
    assert [m.name for m in session.models] == ["model", "model (b)"]


def test_the_estimate_does_not_stay_above_a_training_that_is_done(
    hurry, dock, session, wait, qtbot
):
    hurry(dock)
    wait(lambda: "About" in dock.estimate.text())
    expected = dock.estimate.seconds
    dock.train.click()
    assert session.training.about.expected == expected
    wait(lambda: not session.training.job.active)
    qtbot.wait(1000)
    assert dock.estimate.text() == ""
    dock.form.long.setCurrentText("2 minutes")
    wait(lambda: "About" in dock.estimate.text())


def test_how_long_is_asked_for_in_words(dock):
    recipe = dock._recipe()
    assert recipe.training.time_limit is None
    dock.form.long.setCurrentText("10 minutes")
    assert dock._recipe().training.time_limit == 10
    typed = dock.form.length_form._widgets["time_limit"].native
    assert typed.placeholderText() == "10, as How long says"
    dock.form.length_form._widgets["time_limit"].value = "3"  # the closer one counts
    assert dock._recipe().training.time_limit == 3


def test_reset_takes_the_settings_of_the_preset(dock):
    before = dock._recipe()
    dock.form.training_form._widgets["batch_size"].value = 3
    dock.form.filled.setCurrentIndex(2)
    assert dock._recipe() != before
    dock.form._reset()
    assert dock._recipe() == before
    assert dock.form.filling == "nothing"


def test_the_device_is_chosen_from_those_that_there_are(dock):
    box = dock.form.training_form._widgets["device"]
    assert list(box.choices) == ["auto", *available_devices()]


def test_guessed_axes_are_marked_and_others_are_a_click_away(viewer, shown, noisy):
    named = viewer.add_image(
        np.stack([noisy] * 5), name="named", axis_labels=("z", "y", "x")
    )
    dock = shown(TrainWidget(viewer))
    assert dock.axes.text() == "ZYX"
    assert dock.axes.guess.isHidden()
    viewer.add_image(np.stack([noisy] * 5), name="plain")
    dock.image.choose(viewer.layers["plain"])
    assert dock.axes.text() == "TYX"
    assert not dock.axes.guess.isHidden()
    actions = {action.text(): action for action in dock.axes.guess.menu().actions()}
    assert "ZYX: z" in actions
    actions["CYX: channels"].trigger()
    assert dock.axes.text() == "CYX"
    assert dock.axes.guess.isHidden()
    assert not dock.channels.isHidden()
    dock.image.choose(named)
    assert dock.channels.isHidden()


def test_channels_one_by_one_have_the_pretrained_start(
    viewer, shown, noisy, hurry, session, wait
):
    data = np.stack([noisy, noisy[::-1]]).astype(np.float32)
    viewer.add_image(data, name="two", axis_labels=("c", "y", "x"))
    dock = shown(TrainWidget(viewer))
    assert not dock.channels.isHidden()
    assert dock.channels.choice.currentText() == ONE_BY_ONE
    dock.channels.choice.setCurrentText(TOGETHER)
    assert dock._request().channel is None
    dock.channels.choice.setCurrentText("channel 2 alone")
    assert dock._request().channel == 1
    dock.channels.choice.setCurrentText(ONE_BY_ONE)
    hurry(dock)
    dock.train.click()
    wait(lambda: not session.training.job.active)
    assert session.training.job.error is None
    assert session.training.about.result.spec.n_channels == 1
    denoise = shown(DenoiseWidget(viewer))
    wait(lambda: denoise.source.channels.choice.currentText() == ONE_BY_ONE)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((9, 5, 2, 64, 64), "TZCYX"), ((9, 2, 5, 64, 64), "TCZYX"), ((4, 8, 8), "TYX")],
)
def test_the_shorter_axis_is_the_channel(shape, axes):
    assert guess_axes(shape) == axes
    assert axes not in other_axes(axes)


def test_an_interrupted_training_is_offered_and_goes_on(
    hurry, dock, session, wait, viewer, shown, own_models_folder
):
    hurry(dock, max_steps="100000")
    dock.train.click()
    job, record = session.training
    wait(lambda: record.last is not None and record.last.step > 20)
    job._worker.quit()  # as when napari is closed
    wait(lambda: not job.active)
    (left,) = unfinished_trainings()
    again = shown(TrainWidget(viewer))
    again.start.choice.setCurrentText(GO_ON.format(left.stem))
    assert again.form.preset_row.isHidden()
    assert "where it was interrupted" in again.start.sentence.text()
    before = record.last.step
    again.train.click()
    job, record = session.training
    wait(lambda: record.last is not None)
    assert record.last.step > before > 20
    assert record.path == left
    again.stop.click()
    wait(lambda: not job.active)
    assert job.error is None
    assert unfinished_trainings() == []
    assert left.exists()


def test_another_layer_validates(hurry, dock, session, wait, viewer, noisy):
    viewer.add_image(noisy[:64, :64].astype(np.float32), name="other")
    dock.image.choose(viewer.layers["cells"])
    dock.validation.choice.choose(viewer.layers["other"])
    hurry(dock)
    dock.train.click()
    job, record = session.training
    wait(lambda: not job.active)
    assert record.result is not None
    assert record.result.trained_on.names == ("cells",)
    dock.validation.choice.choose(viewer.layers["cells"])
    dock.train.click()
    assert "cells is the image to learn from" in dock.problem.text.text()
    assert session.training.job is job


def test_targets_leave_no_choice_of_an_image_to_validate_on(dock):
    assert not dock.validation.isHidden()
    care = next(t for t, (m, _) in dock.form.presets.items() if m == "care")
    dock.form.preset.setCurrentText(care)
    assert dock.validation.isHidden()


def test_the_progress_is_told_to_napari_once_the_dock_is_hidden(hurry, dock, session):
    hurry(dock, max_steps="100000")
    dock.train.click()
    job, _ = session.training
    assert dock.in_front
    assert job.is_shown()
    dock.hide()
    assert not job.is_shown()
    job.stop()


def test_the_open_list_says_what_each_preset_is_for(dock):
    presets, option = dock.form.preset, QStyleOptionViewItem()
    index = presets.model().index(presets.findText("COSDD · quick"), 0)
    presets.itemDelegate().initStyleOption(option, index)
    assert option.text == "COSDD · quick: a laptop, minutes"
    assert presets.itemText(index.row()) == "COSDD · quick"
