import pytest
import torch

from napari_cosdd.models import shipped
from napari_cosdd.models.shipped import usual_preset


@pytest.mark.parametrize(
    ("device", "files", "expected"),
    [
        ("cpu", ["cosdd-quick", "cosdd-standard"], "quick"),
        ("cuda", ["cosdd-quick", "cosdd-standard"], "standard"),
        ("cuda", ["cosdd-quick"], "quick"),
        ("cuda", [], "quick"),
    ],
)
def test_a_gpu_is_given_the_largest_network_that_is_trained(
    device, files, expected, tmp_path, monkeypatch
):
    for name in files:
        (tmp_path / f"{name}.safetensors").touch()
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    monkeypatch.setattr(shipped, "choose_device", lambda _: torch.device(device))
    assert usual_preset("cosdd") == expected
