from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.layers import Image as ImageLayer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox

from napari_cosdd import api
from napari_cosdd._formatting import grey_level
from napari_cosdd.datasets.summary import TrainedOn
from napari_cosdd.gui._before_after import RESIDUAL
from napari_cosdd.gui._canvas_view import camera_of
from napari_cosdd.gui._channels import ONE_BY_ONE
from napari_cosdd.gui._layers import KEY, parts_of
from napari_cosdd.gui._models import ModelEntry
from napari_cosdd.gui._signed import show_signed
from napari_cosdd.gui.denoise_widget import DenoiseWidget
from napari_cosdd.images.formats.any import write_image


@pytest.fixture
def dock(viewer, session, stripes, model, shown):
    session.add_model(ModelEntry("ours", None, model))
    widget = shown(DenoiseWidget(viewer))
    widget.samples.n_samples.setValue(6)
    widget.samples.n_kept.setValue(2)
    return widget


@pytest.fixture
def denoised(dock, session, wait):
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert session.denoising.job.error is None
    return dock


def test_without_model_or_image_it_says_why_not(viewer, shown):
    widget = shown(DenoiseWidget(viewer))
    assert not widget.run.isEnabled()
    assert "Train a model first" in widget.run.toolTip()
    assert not widget.save.button.isEnabled()


def test_results_line_up_with_their_source(denoised, viewer, stripes, noisy, model):
    names = [layer.name for layer in viewer.layers]
    assert names == [
        "cells",
        "cells · mean",
        "cells · deviation",
        "cells · sample 1",
        "cells · sample 2",
    ]
    for name in names[1:]:
        layer = viewer.layers[name]
        np.testing.assert_allclose(layer.scale, stripes.scale)
        np.testing.assert_allclose(layer.translate, stripes.translate)
        assert layer.units == stripes.units
        assert layer.axis_labels == stripes.axis_labels
        assert layer.metadata[KEY]["model"] == "ours"
        assert layer.metadata[KEY]["settings"]["n_samples"] == 6
        assert layer.visible == name.endswith("mean")
    mean = viewer.layers["cells · mean"]
    np.testing.assert_allclose(mean.contrast_limits, stripes.contrast_limits)
    expected = api.denoise(noisy.astype(np.float32), model, n_samples=6, n_kept=2)
    np.testing.assert_array_equal(mean.data, expected.mean)
    np.testing.assert_array_equal(
        viewer.layers["cells · sample 2"].data, expected.samples[1]
    )
    deviation = viewer.layers["cells · deviation"]
    assert 0 < deviation.contrast_limits[1] <= expected.deviation.max()


def test_every_setting_can_be_changed(dock, viewer, session, wait, noisy, model):
    dock.samples.form._widgets["seed"].value = 7
    dock.samples.form._widgets["margin"].value = "8"
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    expected = api.denoise(noisy.astype(np.float32), model, n_samples=6, seed=7)
    np.testing.assert_array_equal(viewer.layers["cells · mean"].data, expected.mean)
    settings = viewer.layers["cells · mean"].metadata[KEY]["settings"]
    assert (settings["seed"], settings["margin"]) == (7, 8)


def test_what_the_model_cannot_do_is_said(dock, session, wait):
    dock.samples.form._widgets["direct"].value = True
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert "trained without a direct denoiser" in dock.problem.text.text()
    dock.samples.form._widgets["margin"].value = "wide"
    dock.run.click()
    assert "margin" in dock.problem.text.text()


def test_running_again_replaces_or_adds(denoised, viewer, session, wait):
    limits = viewer.layers["cells · mean"].contrast_limits = (0.0, 5.0)
    before = viewer.layers["cells · mean"]
    denoised.samples.n_kept.setValue(1)
    denoised.run.click()
    wait(lambda: not session.denoising.job.active)
    names = [layer.name for layer in viewer.layers]
    assert "cells · sample 2" not in names
    assert viewer.layers["cells · mean"] is before
    assert tuple(before.contrast_limits) == limits
    denoised.samples.replace.setChecked(False)
    denoised.run.click()
    wait(lambda: not session.denoising.job.active)
    names = [layer.name for layer in viewer.layers]
    assert names[-3:] == [
        "cells · mean (COSDD)",
        "cells · deviation (COSDD)",
        "cells · sample 1 (COSDD)",
    ]
    shown = {part: layer.name for part, layer in denoised.compare.parts().items()}
    assert shown["mean"] == "cells · mean (COSDD)"  # the newest
    assert not DenoiseWidget(viewer).samples.replace.isChecked()  # as was chosen last


def test_results_stay_with_a_source_that_was_renamed(
    denoised, viewer, stripes, session, wait
):
    mean = viewer.layers["cells · mean"]
    stripes.name = "renamed"
    assert denoised.compare.parts()["mean"] is mean
    denoised.run.click()
    wait(lambda: not session.denoising.job.active)
    assert [x.name for x in viewer.layers if x.name.endswith("mean")] == [mean.name]


@pytest.mark.parametrize("n_kept", [1, 6])
def test_a_run_that_is_cancelled_leaves_the_earlier_results(
    denoised, session, wait, viewer, n_kept
):
    layer = viewer.layers["cells · mean"]
    before, made_by = layer.data, dict(layer.metadata["napari_cosdd"])
    names = {x.name for x in viewer.layers}
    denoised.samples.n_samples.setValue(10_000)
    denoised.samples.n_kept.setValue(n_kept)
    denoised.run.click()
    wait(lambda: session.denoising.about.samples > 4)
    assert layer.data is not before
    denoised.cancel.click()
    wait(lambda: not session.denoising.job.active)
    assert layer.data is before
    assert layer.metadata["napari_cosdd"] == made_by
    assert {x.name for x in viewer.layers} == names
    assert denoised.save.button.isEnabled()


def test_a_result_with_a_name_of_its_own_is_never_replaced(
    denoised, session, wait, viewer
):
    kept = viewer.layers["cells · mean"]
    kept.name, before = "figure 1", kept.data
    denoised.run.click()
    wait(lambda: not session.denoising.job.active)
    assert kept.data is before
    assert viewer.layers["cells · mean"] is not kept


def test_cancel_keeps_what_is_there(dock, session, wait, viewer):
    dock.samples.n_samples.setValue(10_000)
    dock.run.click()
    wait(lambda: "cells · mean" in viewer.layers)
    wait(lambda: session.denoising.about.samples > 4)
    dock.cancel.click()
    wait(lambda: not session.denoising.job.active)
    assert not session.denoising.about.complete
    assert np.ptp(viewer.layers["cells · mean (partial)"].data) > 0
    assert dock.bar.format() == "cells: stopped"
    assert dock.run.isEnabled()


@pytest.fixture
def movie(viewer, noisy):
    frames = da.stack([da.from_array(noisy + k, chunks=(96, 128)) for k in range(3)])
    return viewer.add_image(
        frames.astype(np.float32),
        name="movie",
        scale=(2, 0.5, 0.25),
        translate=(5, 6, 7),
        contrast_limits=(0, 1000),
    )


def test_the_current_plane_only(dock, movie, viewer, session, wait):
    dock.source.image.choose(viewer.layers["movie"])
    viewer.dims.set_current_step(0, 2)
    assert dock.samples.plane.isEnabled()
    dock.samples.plane.setChecked(True)
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    mean = viewer.layers["movie · mean"]
    assert mean.data.shape == (1, 96, 128)
    np.testing.assert_allclose(
        mean.data_to_world((0, 0, 0)), movie.data_to_world((2, 0, 0))
    )


def test_a_lazy_movie_is_denoised_whole(dock, movie, viewer, session, wait):
    dock.source.image.choose(viewer.layers["movie"])
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert session.denoising.job.error is None
    assert viewer.layers["movie · sample 1"].data.shape == (3, 96, 128)


def test_an_image_unlike_the_training_data_is_warned_of(
    dock, viewer, noisy, session, wait
):
    viewer.add_image(20 * noisy + 9e4, name="bright")
    dock.source.image.choose(viewer.layers["bright"])
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert "median is" in dock.status.text()
    assert "contrast is 20 times" in dock.status.text()


def test_all_is_saved_with_pixel_size_and_provenance(denoised, session, wait, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    record = session.denoising.about
    denoised.save.save_to(folder, record.prediction, record.provenance)
    wait(lambda: "Written" in denoised.save.status.text())
    names = sorted(p.name for p in folder.iterdir())
    assert names == [
        "cells-deviation.tif",
        "cells-mean.tif",
        "cells-sample-1.tif",
        "cells-sample-2.tif",
    ]
    with tifffile.TiffFile(folder / "cells-mean.tif") as file:
        assert 'PhysicalSizeX="0.25"' in file.ome_metadata
        assert "ours" in file.ome_metadata
    denoised.save.save_to(folder, record.prediction, record.provenance)
    wait(lambda: denoised.save.problem.isVisible())
    assert "exists" in denoised.save.problem.text.text()


def test_a_bad_model_file_is_told_in_words(dock, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"nothing")
    dock.model.open_file(path)
    assert "bad.safetensors" in dock.problem.text.text()
    assert dock.model.choice.currentText() == "ours"


def test_a_model_file_is_opened_and_chosen(dock, tmp_path, model):
    model.save(tmp_path / "other.safetensors")
    dock.model.open_file(tmp_path / "other.safetensors")
    assert dock.model.choice.currentText() == "other"
    assert not dock.problem.isVisible()


# Compare ------------------------------------------------------------------------


def visible(viewer):
    return [layer.name for layer in viewer.layers if layer.visible]


def test_one_steps_through_the_solutions(denoised, viewer):
    compare = denoised.compare
    compare.forth.click()
    assert visible(viewer) == ["cells", "cells · sample 1"]
    assert compare.label.text() == "sample 1 of 2"
    compare.forth.click()
    compare.forth.click()
    assert visible(viewer) == ["cells", "cells · mean"]
    compare.back.click()
    assert visible(viewer) == ["cells", "cells · sample 2"]


def test_the_film_plays_samples_only(denoised, qtbot):
    compare, seen = denoised.compare, set()
    compare.film.click()
    qtbot.waitUntil(lambda: seen.add(compare.at) or len(seen) >= 3, timeout=3000)
    compare.film.click()
    at = compare.at
    qtbot.wait(500)
    assert compare.at == at
    assert seen == {0, 1, 2}


def test_the_difference_is_sample_minus_mean(denoised, viewer):
    compare = denoised.compare
    compare.difference.click()
    compare.forth.click()
    layer = parts_of(viewer.layers, viewer.layers["cells"])["difference"]
    sample, mean = (viewer.layers[f"cells · {p}"].data for p in ("sample 1", "mean"))
    np.testing.assert_allclose(layer.data, sample - mean)
    compare.forth.click()
    assert len([x for x in viewer.layers if "difference" in x.name]) == 1
    sample = viewer.layers["cells · sample 2"].data
    np.testing.assert_allclose(layer.data, sample - mean)


def test_the_grid_shows_whole_tiles_if_the_image_was_seen_as_a_whole(denoised, viewer):
    camera = camera_of(viewer)
    viewer.reset_view()
    whole = camera.zoom
    denoised.compare.grid.click()
    assert camera.zoom < whole
    denoised.compare.grid.click()
    assert camera.zoom == whole
    camera.zoom = 3 * whole
    denoised.compare.grid.click()
    assert camera.zoom == 3 * whole
    denoised.compare.grid.click()
    assert camera.zoom == 3 * whole


def test_the_grid_links_contrast_and_gives_it_back(denoised, viewer):
    before = visible(viewer)
    viewer.layers["cells · sample 2"].contrast_limits = (3, 900)
    denoised.compare.grid.click()
    grid = getattr(viewer, "canvas", viewer).grid  # before napari 0.9: the viewer's
    assert grid.enabled
    viewer.layers["cells · mean"].contrast_limits = (1, 700)
    assert tuple(viewer.layers["cells · sample 2"].contrast_limits) == (1, 700)
    denoised.compare.grid.click()
    assert not grid.enabled
    assert visible(viewer) == before
    viewer.layers["cells · mean"].contrast_limits = (2, 600)
    assert tuple(viewer.layers["cells · sample 2"].contrast_limits) == (3, 900)


def test_the_probe_reads_mean_and_deviation(denoised, viewer, stripes):
    viewer.cursor.position = tuple(stripes.data_to_world((30, 40)))
    mean = viewer.layers["cells · mean"].data[30, 40]
    deviation = viewer.layers["cells · deviation"].data[30, 40]
    assert grey_level(mean) in denoised.compare.probe.text()
    assert f"± {grey_level(deviation)}" in denoised.compare.probe.text()
    assert denoised.compare.bars.isVisible()
    viewer.add_image(np.ones((64, 64), np.float32), name="other")
    denoised.source.image.choose(viewer.layers["other"])
    assert not denoised.compare.bars.isVisible()  # they were of the first


def test_a_truth_gives_scores(denoised, viewer, pair):
    viewer.add_image(pair[0], name="truth")
    denoised.compare.reference.setCurrentText("truth")
    text = denoised.compare.scores.text()
    assert "mean:" in text
    assert "noisy:" in text
    assert "dB" in text
    viewer.add_image(np.zeros((5, 5)), name="small")
    denoised.compare.reference.setCurrentText("small")
    assert "differ in shape" in denoised.compare.scores.text()


def test_layers_removed_meanwhile_do_no_harm(denoised, viewer):
    denoised.compare.grid.click()
    for name in ("cells · mean", "cells · sample 1"):
        viewer.layers.remove(name)
    denoised.compare.grid.click()
    denoised.compare.forth.click()
    viewer.layers.clear()
    assert not any(isinstance(x, ImageLayer) for x in viewer.layers)
    assert not denoised.run.isEnabled()


def test_arrow_keys_step_through_the_solutions(denoised, qtbot):
    denoised.compare.forth.setFocus()  # wherever in it the focus is
    qtbot.keyClick(denoised.compare.forth, Qt.Key.Key_Right)
    assert denoised.compare.label.text() == "sample 1 of 2"
    qtbot.keyClick(denoised.compare, Qt.Key.Key_Left)
    assert denoised.compare.label.text() == "mean"


def test_missing_pixels_are_told(dock, viewer, noisy, session, wait):
    holed = noisy.copy()
    holed[:8] = np.nan
    viewer.add_image(holed, name="holed")
    dock.source.image.choose(viewer.layers["holed"])
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert "are missing (NaN)" in dock.status.text()


def test_a_run_with_fewer_samples_steps_on_without_gaps(
    denoised, viewer, session, wait
):
    denoised.compare.forth.click()
    denoised.compare.forth.click()
    denoised.samples.n_kept.setValue(1)
    denoised.run.click()
    wait(lambda: not session.denoising.job.active)
    assert denoised.compare.label.text() == "sample 1 of 1"
    viewer.layers.remove("cells · mean")
    denoised.compare.difference.click()
    denoised.compare.grid.click()


def results_shown(viewer):
    return set(visible(viewer)) - {"cells"}


def test_what_was_cancelled_is_named_partial_and_shows_no_black(
    dock, session, wait, viewer, stripes
):
    dock.samples.n_samples.setValue(10_000)
    dock.run.click()
    wait(lambda: "cells · mean" in viewer.layers)
    mean = viewer.layers["cells · mean"]
    assert (mean.data != 0).mean() > 0.99
    dock.cancel.click()
    wait(lambda: not session.denoising.job.active)
    assert mean.name == "cells · mean (partial)"
    assert (mean.data != 0).mean() > 0.99
    dock.samples.n_samples.setValue(2)
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert mean.name == "cells · mean"


def test_samples_in_one_layer_are_stepped_through_by_its_slider(
    dock, session, wait, viewer, stripes
):
    dock.samples.n_samples.setValue(4)
    dock.samples.n_kept.setValue(3)
    dock.samples.stacked.setChecked(True)
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    stack = viewer.layers["cells · samples"]
    assert stack.data.shape == (3, *stripes.data.shape)
    assert not any("sample 1" in layer.name for layer in viewer.layers)
    np.testing.assert_allclose(stack.extent.world[:, 1:], stripes.extent.world)
    compare = dock.compare
    compare.step(1)
    compare.step(1)
    assert compare.label.text() == "sample 2 of 3"
    assert results_shown(viewer) == {"cells · samples"}
    assert viewer.dims.current_step[0] == 1
    compare.difference.setChecked(True)
    difference = viewer.layers["cells · difference"]
    mean = viewer.layers["cells · mean"]
    np.testing.assert_allclose(difference.data, stack.data[1] - mean.data, atol=1e-3)
    compare.show_at(0)
    before = visible(viewer)
    compare.grid.click()
    tiles = [f"cells · sample {i}" for i in (1, 2, 3)]
    assert set(visible(viewer)) == {*tiles, "cells · mean", "cells"}
    np.testing.assert_array_equal(viewer.layers[tiles[1]].data, stack.data[1])
    if hasattr(viewer, "canvas"):  # napari 0.9 and later
        assert viewer.layers[tiles[1]].name_overlay.visible
    compare.grid.click()
    assert visible(viewer) == before
    assert not set(tiles) & {layer.name for layer in viewer.layers}


def test_the_original_is_seen_while_its_button_is_held(denoised, viewer, stripes):
    before = {layer.name: layer.visible for layer in viewer.layers}
    button = denoised.before_after.original
    button.pressed.emit()
    results = [x for x in viewer.layers if x is not stripes]
    assert stripes.visible
    assert not any(layer.visible for layer in results)
    button.released.emit()
    assert {layer.name: layer.visible for layer in viewer.layers} == before


def test_the_split_is_noisy_left_and_denoised_right(denoised, viewer, stripes):
    view = denoised.before_after
    view.split.setChecked(True)
    split, mean = viewer.layers["cells · split"], viewer.layers["cells · mean"]
    assert results_shown(viewer) == {"cells · split"}
    np.testing.assert_array_equal(split.data[:, :64], stripes.data[:, :64])
    np.testing.assert_array_equal(split.data[:, 65:], mean.data[:, 65:])
    assert (split.data[:, 64] == mean.contrast_limits[1]).all()  # the line between
    view.at.setValue(0)
    np.testing.assert_array_equal(split.data, mean.data)
    denoised.compare.step(1)
    np.testing.assert_array_equal(split.data, viewer.layers["cells · sample 1"].data)
    view.split.setChecked(False)
    assert "cells · split" not in viewer.layers
    assert results_shown(viewer) == {"cells · sample 1"}


def test_what_was_removed_is_noisy_minus_denoised(denoised, viewer, stripes):
    view = denoised.before_after
    view.residual.setChecked(True)
    residual, mean = viewer.layers["cells · residual"], viewer.layers["cells · mean"]
    np.testing.assert_allclose(residual.data, stripes.data - mean.data, rtol=1e-5)
    assert results_shown(viewer) == {"cells · residual"}
    view.residual.setChecked(False)
    assert results_shown(viewer) == {"cells · mean"}
    view.residual.setChecked(True)
    viewer.layers.remove(residual)
    view.refresh()
    assert not view.residual.isChecked()


def test_the_split_follows_the_plane_that_is_shown(dock, movie, viewer, session, wait):
    dock.source.image.choose(movie)
    dock.samples.n_samples.setValue(2)
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    view, source = dock.before_after, np.asarray(movie.data)
    view.split.setChecked(True)
    view.at.setValue(1000)
    split = next(x for x in viewer.layers if x.name.endswith("split"))
    for frame in (0, 1):
        viewer.dims.set_current_step(0, frame)
        np.testing.assert_array_equal(split.data, source[frame])


def test_split_removed_and_grid_exclude_each_other(denoised, viewer):
    view, grid = denoised.before_after, denoised.compare.grid
    view.split.click()
    view.residual.click()
    assert (view.split.isChecked(), view.residual.isChecked()) == (False, True)
    shown = [x.name for x in viewer.layers if x.visible]
    assert "cells · residual" in shown
    assert "cells · mean" not in shown
    assert "cells · split" not in viewer.layers
    view.split.click()
    assert (view.split.isChecked(), view.residual.isChecked()) == (True, False)
    grid.click()
    assert grid.isChecked()
    assert not view.split.isChecked()
    view.residual.click()
    assert view.residual.isChecked()
    assert not grid.isChecked()


def test_the_model_of_the_image_is_offered_and_judged_before_the_run(
    viewer, session, stripes, model, noisy, shown, wait
):
    other = replace(model, trained_on=TrainedOn(names=("moon",)))
    session.add_model(ModelEntry("ours", None, model))
    session.add_model(ModelEntry("of another", None, other))
    mine = replace(
        model,
        trained_on=model.trained_on.model_copy(update={"names": ("cells",)}),
        history={"step": [500.0], "loss": [1.0]},
    )
    session.models.append(ModelEntry("mine", None, mine))
    short = replace(mine, history={"step": [20.0], "loss": [2.0]})
    session.add_model(ModelEntry("stopped early", None, short))
    dock = shown(DenoiseWidget(viewer))
    wait(lambda: dock.source.fit.isVisible())
    assert dock.model.choice.currentText() == "mine"
    assert "The model is for such images" in dock.source.fit.light.text()
    assert "trained on an image of this name" in dock.source.fit.reason.text()
    dock.model.take("stopped early")
    assert "may not fit" in dock.source.fit.light.text()
    assert "for 20 steps only" in dock.source.fit.reason.text()
    dock.model.take("mine")
    bright = viewer.add_image(noisy + 10_000, name="bright")
    dock.source.image.choose(bright)
    assert "not for this image" in dock.source.fit.light.text()
    assert "median" in dock.source.fit.reason.text()


def test_a_model_of_one_channel_takes_several_one_by_one_or_one_alone(
    dock, viewer, session, noisy, wait
):
    data = np.stack([noisy, noisy[::-1], noisy[:, ::-1]]).astype(np.float32)
    layer = viewer.add_image(data, name="three", axis_labels=("c", "y", "x"))
    dock.source.image.choose(layer)
    assert not dock.source.channels.isHidden()
    assert dock.source.channels.choice.currentText() == ONE_BY_ONE
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert session.denoising.job.error is None
    mean = viewer.layers["three · mean"]
    assert mean.data.shape == data.shape
    assert (mean.data != data).mean(axis=(1, 2)).min() > 0.9  # each was denoised
    dock.source.channels.choice.setCurrentText("channel 2 alone")
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert mean.data.shape == (1, *data.shape[1:])
    np.testing.assert_allclose(
        mean.data_to_world((0, 0, 0)), layer.data_to_world((1, 0, 0))
    )


def test_channels_are_taken_one_by_one_before_the_dock_is_seen(
    viewer, session, model, noisy, wait
):
    data = np.stack([noisy, noisy[::-1]]).astype(np.float32)
    viewer.add_image(data, name="two", axis_labels=("c", "y", "x"))
    session.add_model(ModelEntry("ours", None, model))
    dock = DenoiseWidget(viewer)  # not in front: no light for model and image yet
    dock.samples.n_samples.setValue(2)
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert session.denoising.job.error is None
    assert viewer.layers["two · mean"].data.shape == data.shape


def test_a_chosen_model_stays_when_the_image_changes(dock, session, model, viewer):
    session.add_model(ModelEntry("second", None, model))
    dock.model.take("ours")
    viewer.add_image(np.ones((64, 64), np.float32), name="second-")
    dock.source.image.choose(viewer.layers["second-"])
    assert dock.model.choice.currentText() == "ours"


def test_an_image_that_is_gone_is_not_replaced_by_another(
    dock, viewer, session, stripes, wait
):
    other = viewer.add_image(stripes.data, name="other")
    dock.source.image.choose(stripes)
    assert not dock.source.image.pin.isHidden()
    viewer.layers.remove(stripes)
    assert dock.source.image.layer is None
    assert not dock.run.isEnabled()
    session.denoise_layer.emit("no such key", "ours")
    assert "was removed" in dock.problem.text.text()
    assert dock.source.image.layer is None
    viewer.layers.selection.active = other
    dock.source.image.pin.click()
    assert dock.source.image.layer is other
    assert dock.source.image.pin.isHidden()


def test_saving_again_asks_for_another_name(
    denoised, session, wait, tmp_path, monkeypatch
):
    save, asked = denoised.save, []
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))

    def ask(*_, text):
        asked.append(text)
        return text, True

    monkeypatch.setattr(QInputDialog, "getText", ask)
    for _ in range(2):
        save.button.click()
        wait(lambda: not save._saving[0].active)
        assert "cells" in save.status.text()
        assert "Written" in save.status.text()
    assert asked == ["cells-2"]
    assert len(list(tmp_path.glob("cells-2-mean.*"))) == 1
    denoised.run.click()
    wait(lambda: not session.denoising.job.active)
    assert not save.status.isVisible()
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, text: (text, False))
    save.button.click()
    assert not save._saving[0].active


@pytest.fixture
def saved(session, model, tmp_path):
    path = tmp_path / "models" / "first.safetensors"
    path.parent.mkdir(exist_ok=True)
    model.save(path)
    entry = ModelEntry("first", path)
    session.add_model(entry)
    return entry


def test_a_model_is_renamed_and_deleted_with_its_file(
    dock, session, saved, monkeypatch
):
    dock.model.choice.setCurrentText("first")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("my camera", True))
    dock.model.menu.rename()
    assert saved.name == "my-camera"
    assert saved.path.name == "my-camera.safetensors"
    assert saved.path.exists()
    assert dock.model.choice.findText("my-camera") >= 0
    dock.model.choice.setCurrentText("my-camera")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("ours", True))
    dock.model.menu.rename()
    assert "a model called ours" in dock.problem.text.text()
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    dock.model.menu.delete()
    assert saved.path.exists()
    dock.model.menu.delete()
    assert not saved.path.exists()
    assert saved not in session.models


def test_a_model_is_exported_from_the_window(dock, wait, tmp_path):
    pytest.importorskip("bioimageio.spec")
    path = tmp_path / "out.bioimageio.zip"
    dock.model.menu.export_to(path, dock.model.entry(), dock.source.taken())
    wait(lambda: "exported" in dock.status.text() or dock.problem.isVisible())
    assert path.exists(), dock.problem.text.text()


def test_a_folder_is_denoised_and_what_fails_is_named(
    dock, session, wait, tmp_path, noisy
):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(source / f"{name}.tif", noisy.astype(np.float32))
    (source / "c.tif").write_bytes(b"no image")
    two = np.stack([noisy, noisy]).astype(np.float32)
    write_image(source / "d.tif", api.Image(two, "CYX"))
    dock.denoise_folder(source, source)
    wait(lambda: not session.denoising.job.active)
    assert "another folder" in dock.problem.text.text()
    dock.denoise_folder(source, target)
    wait(lambda: not session.denoising.job.active)
    assert session.denoising.job.error is None
    names = {path.name for path in target.iterdir()}
    assert names == {f"{n}-{p}.tif" for n in "abd" for p in ("mean", "deviation")}
    assert "3 images written" in dock.bar.format()
    assert "c.tif" in dock.status.text()
    assert not any("mean" in layer.name for layer in dock.viewer.layers)
    dock.denoise_folder(source, target)  # again: nothing is replaced
    wait(lambda: not session.denoising.job.active)
    assert "0 images written" in dock.bar.format()
    assert "done before" in dock.status.text()
    assert "1 more warnings" in dock.status.text()
    assert "c.tif" in dock.status.toolTip()
    dock.samples.n_samples.setValue(dock.samples.n_samples.value() + 2)
    dock.denoise_folder(source, target)  # with other settings
    wait(lambda: not session.denoising.job.active)
    assert "3 images written" in dock.bar.format()


def test_a_result_is_shown_when_a_view_of_it_is_gone(denoised, session, wait):
    layers, mean = denoised.viewer.layers, denoised.compare.parts()["mean"]
    denoised.before_after.split.click()
    assert not mean.visible
    layers.remove(denoised.compare.parts()["split"])  # by the user
    assert mean.visible
    denoised.before_after.split.click()
    denoised.run.click()  # the new result takes the place of the views
    wait(lambda: not session.denoising.job.active)
    assert not denoised.before_after.split.isChecked()
    assert denoised.compare.parts()["mean"].visible
    denoised.compare.step(1)
    denoised.compare.difference.click()
    layers.remove(denoised.compare.parts()["difference"])
    assert not denoised.compare.difference.isChecked()
    assert denoised.compare.parts()["sample 1"].visible
    mean.visible = False
    denoised.compare.parts()["sample 1"].visible = False  # to see the noisy image
    layers.remove(denoised.compare.parts()["sample 2"])
    assert not denoised.compare.parts()["mean"].visible


def test_the_mean_alone_is_saved_in_the_type_of_the_image(
    viewer, session, noisy, model, shown, wait, tmp_path
):
    session.add_model(ModelEntry("ours", None, model))
    viewer.add_image(np.clip(noisy, 0, 60_000).astype(np.uint16), name="whole")
    dock = shown(DenoiseWidget(viewer))
    dock.samples.n_samples.setValue(2)
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    dock.save.mean_only.setChecked(True)
    dock.save.same_type.setChecked(True)
    about = session.denoising.about
    dock.save.save_to(tmp_path, about.prediction, about.provenance)
    wait(lambda: not dock.save._saving[0].active)
    (file,) = tmp_path.glob("*.tif")
    assert file.name == "whole-mean.tif"
    assert tifffile.imread(file).dtype == np.uint16


def test_a_plane_that_was_not_denoised_is_not_compared(
    dock, movie, viewer, session, wait
):
    truth = viewer.add_image(
        np.asarray(movie.data),
        name="truth",
        **{"scale": movie.scale, "translate": movie.translate},
    )
    dock.source.image.choose(movie)
    dock.compare.reference.choose(truth)
    viewer.dims.set_current_step(0, 2)
    dock.samples.plane.setChecked(True)
    dock.samples.n_samples.setValue(2)
    dock.run.click()
    wait(lambda: not session.denoising.job.active)
    assert "mean" in dock.compare.scores.text()
    view = dock.before_after
    view.residual.setChecked(True)
    residual = next(x for x in viewer.layers if x.name.endswith("residual"))
    np.testing.assert_allclose(
        residual.data[0],
        np.asarray(movie.data[2]) - viewer.layers["movie · mean"].data[0],
    )
    view.residual.setChecked(False)
    viewer.dims.set_current_step(0, 0)
    assert "does not hold the plane" in dock.compare.scores.text()
    view.split.setChecked(True)
    assert "does not hold the plane" in view.problem.text.text()
    assert not any(x.name.endswith("split") for x in viewer.layers)


def test_a_chosen_model_stays_chosen_under_another_name(dock, session, model, viewer):
    for name in ("b", "c"):
        session.add_model(ModelEntry(name, None, model))
    dock.model.take("b")
    (entry,) = [m for m in session.models if m.name == "b"]
    session.rename_model(entry, "b2")
    assert dock.model.choice.currentText() == "b2"
    session.delete_model(entry)
    assert dock.model.choice.currentText() in ("ours", "c")
    assert not dock.model.is_chosen


def test_large_offsets_do_not_hide_what_was_removed(viewer):
    source = viewer.add_image(np.full((64, 64), 1e8 + 1), name="far")
    mean = viewer.add_image(np.full((64, 64), 1e8), name="mean")
    show_signed(viewer, source, RESIDUAL, source, mean)
    np.testing.assert_array_equal(viewer.layers["far · residual"].data, 1)
