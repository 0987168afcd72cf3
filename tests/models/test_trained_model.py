import json
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from napari_cosdd.errors import BadModelFileError
from napari_cosdd.models.trained_model import TrainedModel


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def rewrite(path, change):
    with safe_open(path, "pt") as file:
        info = json.loads(file.metadata()["napari_cosdd"])
        weights = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    change(info, weights)
    save_file(weights, path, {"napari_cosdd": json.dumps(info)})


def test_everything_is_in_the_one_file(path, model):
    loaded = TrainedModel.load(path)
    assert loaded.name == "cosdd"
    assert loaded.spec == model.spec
    assert loaded.training == model.training
    assert loaded.trained_on == model.trained_on
    assert loaded.method.config == model.method.config
    assert not loaded.method.training
    for key, value in model.method.state_dict().items():
        assert torch.equal(value, loaded.method.state_dict()[key])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda i, w: i.update(format_version=99), "format 99.*update napari-cosdd"),
        (lambda i, w: i.update(method="evil"), "made by method 'evil'"),
        (lambda i, w: i["trained_on"].update(noise=5), "settings are damaged"),
        (lambda i, w: i["trained_on"]["noise"].update(signal=[1.0]), "are damaged"),
        (lambda i, w: i["trained_on"].update(levels_1_50_99=[1, 2]), "are damaged"),
        (lambda i, w: i.update(surprise=1), "settings are damaged"),
        (lambda i, w: i["config"].update(n_channels=10**9), "settings do not work"),
        (lambda i, w: i["config"].update(n_levels=20), "weights do not fit"),
        (lambda i, w: w.pop("decoder.head.weight"), "first is decoder.head.weight"),
        (lambda i, w: w["decoder.head.weight"].fill_(float("nan")), "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(path, change, words):
    rewrite(path, change)
    with pytest.raises(BadModelFileError, match=words):
        TrainedModel.load(path)


def test_foreign_and_damaged_files_are_refused(path, tmp_path):
    whole = path.read_bytes()
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(2)}, foreign)
    with pytest.raises(BadModelFileError, match="not written by napari-cosdd"):
        TrainedModel.load(foreign)
    bomb = struct.pack("<Q", 2**62) + b"{"
    torch.save({"a": torch.zeros(2)}, foreign)
    with pytest.raises(BadModelFileError, match="is a zip archive"):
        TrainedModel.load(foreign)
    for content in (b"", b"PK\x03\x04", whole[:200], whole[:-50], bomb):
        foreign.write_bytes(content)
        with pytest.raises(BadModelFileError):
            TrainedModel.load(foreign)
    with pytest.raises(BadModelFileError, match="does not exist"):
        TrainedModel.load(tmp_path / "nowhere")
