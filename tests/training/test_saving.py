"""The one place that writes and deletes the files of a training."""

import zipfile

import pytest
import torch

from helpers import build
from napari_cosdd.errors import BadModelFileError, SavingError
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.resume_file import load_state
from napari_cosdd.training.saving import (
    Saver,
    forget_state,
    release,
    reserve,
    resume_path,
)

#: A state as a training saves it, without content.
STATE = {
    "state": {
        "step": 3,
        "seconds": 1.5,
        "started_at": 0.0,
        "started_step": 0,
        "history": {"step": [], "seconds": []},
        "best": {},
        "sound": {},
        "reference": None,
    },
    "recovery": {},
    "stepper": {},
    "crops": {},
    "identity": {},
    "recipe": {},
}


@pytest.fixture
def model():
    return TrainedModel("cosdd", build("cosdd").eval(), TrainingConfig())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


def test_state_and_model_are_written_and_read_again(path, model):
    saver = Saver(path, 1.0)
    saver.save(STATE | {"identity": {"a": 1}, "stepper": {"x": torch.ones(3)}}, model)
    assert TrainedModel.load(path).fingerprint == model.fingerprint
    restored = Saver(path, 1.0)
    state = restored.restore({"a": 1})
    assert torch.equal(state["stepper"]["x"], torch.ones(3))
    with pytest.raises(BadModelFileError, match="other settings or images"):
        restored.restore({"a": 2})


def test_without_a_best_model_there_is_a_state_alone(path):
    Saver(path, 1.0).save(STATE, None)
    assert resume_path(path).exists()
    assert not path.exists()


def test_only_what_this_training_wrote_is_deleted(path, model):
    saver = Saver(path, 1.0)
    saver.save(STATE, model)
    assert path.exists()
    saver.delete_model()
    assert not path.exists()


def test_the_model_of_another_training_stays_until_this_one_has_a_model(path, model):
    path.write_bytes(b"another model")
    saver = Saver(path, 1.0)
    saver.save(STATE, model)
    saver.delete_model()  # this training collapsed
    assert path.read_bytes() == b"another model"
    again = Saver(path, 1.0)
    again.restore({})
    again.save(STATE, model)
    assert path.read_bytes() == b"another model"
    again.finish(model, can_go_on=False)
    assert TrainedModel.load(path).name == model.name


@pytest.mark.parametrize("can_go_on", [True, False])
def test_the_state_stays_only_if_the_training_can_go_on(path, model, can_go_on):
    saver = Saver(path, 1.0)
    saver.save(STATE, None)
    assert saver.finish(model, can_go_on=can_go_on) == path
    assert resume_path(path).exists() is can_go_on


@pytest.mark.parametrize("saver", [Saver(None, 1e-9), None], ids=["no path", "reader"])
def test_who_does_not_write_writes_nothing(saver, path, model):
    saver = saver or Saver(path, 1e-9, writes=False)
    assert not saver.due
    saver.save(STATE, model)
    assert saver.finish(model, can_go_on=False) is None
    assert not saver.keep_best(model)
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_is_told_and_not_tried_again_at_once(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    saver = Saver(path, 60.0)
    saver._last -= 1e6
    assert saver.due
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SavingError, match="No space left"):
        saver.save(STATE, None)
    assert not saver.due
    assert list(path.parent.iterdir()) == []


def test_names_are_reserved_released_and_forgotten(path):
    assert reserve(path)
    assert not reserve(path)
    release(path)
    assert reserve(path)
    resume_path(path).write_bytes(b"a training's state")
    release(path)
    assert resume_path(path).exists()
    forget_state(path)
    assert not resume_path(path).exists()


def test_a_damaged_state_is_refused_and_never_unpickled(path):
    resume_path(path).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(BadModelFileError, match="cannot be resumed"):
        load_state(resume_path(path))
    torch.save({"training": {}}, resume_path(path))
    with pytest.raises(BadModelFileError, match="cannot be resumed"):
        load_state(resume_path(path))
    torch.save({"version": 99}, resume_path(path))
    with pytest.raises(BadModelFileError, match="of a newer release"):
        load_state(resume_path(path))


def test_a_state_that_grows_in_memory_is_refused_before_it_does(path):
    """Torch does not pack its files; a packed one may be a thousand times larger."""
    torch.save({"version": 2, "x": torch.zeros(1 << 20)}, resume_path(path))
    whole = zipfile.ZipFile(resume_path(path))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for part in whole.infolist():
            packed.writestr(part.filename, whole.read(part))
    assert path.stat().st_size < 100_000
    with pytest.raises(BadModelFileError, match="cannot be resumed"):
        load_state(path)
