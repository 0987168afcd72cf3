from pathlib import Path

import pytest
import torch
from torch import nn

from napari_cosdd import devices
from napari_cosdd.devices import on_device

resource = pytest.importorskip("resource")  # not on Windows
CPU = torch.device("cpu")


def faults():
    """Count pages that large tensors made the system find."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(24 << 20)  # 96 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident():
    """Return the bytes of memory that the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(devices._glibc() is None, reason="needs glibc")
def test_memory_of_tensors_is_kept_while_a_network_is_lent():
    before, held = faults(), resident()
    with on_device(nn.Linear(1, 1), CPU):
        faults()  # until there is a place for them
        assert faults() < before / 4
    assert resident() - held < 48 << 20  # and is given back


def test_networks_come_back_whatever_happens():
    places = []

    class Networks(nn.Linear):
        def to(self, device):
            places.append(str(device))
            return self

    with pytest.raises(ZeroDivisionError), on_device(Networks(1, 1), CPU):
        places.append(1 / 0)
    assert places == ["cpu", "cpu"]
