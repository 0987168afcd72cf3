import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import torch
from torch import nn

from napari_cosdd import devices
from napari_cosdd.devices import fast_math, on_device, one_at_a_time

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


def test_threads_take_turns_where_apples_gpu_computes(monkeypatch):
    """None is inside beside another, and the one that left does not go first again."""
    monkeypatch.setattr(devices, "_metal_computes", lambda: True)
    inside, turns, together = [], [], Barrier(2)

    def work(name):
        together.wait()
        for _ in range(20):
            with one_at_a_time():
                assert not inside
                inside.append(name)
                time.sleep(0.001)
                turns.append(inside.pop())

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(work, name) for name in "ab"]:
            done.result()
    assert max(turns[:20].count(name) for name in "ab") < 16


@pytest.mark.skipif(devices._glibc() is None, reason="needs glibc")
def test_memory_of_tensors_is_kept_while_a_network_is_lent():
    before, held = faults(), resident()
    with on_device(nn.Linear(1, 1), CPU):
        faults()  # until there is a place for them
        assert faults() < before / 4
    assert resident() - held < 48 << 20  # and is given back


def test_networks_come_back_whatever_happens():
    """From a device that gives nothing back, too, as "meta" and a lost GPU."""
    module = nn.Linear(3, 2)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    meta = torch.device("meta")
    with pytest.raises(ZeroDivisionError), on_device(module, meta):
        _ = 1 / (module.weight.device.type != "meta")
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])
    assert module.weight.requires_grad


def test_networks_return_to_the_cpu_with_their_last_user():
    net, meta = torch.nn.Linear(2, 2), torch.device("meta")
    weights = net.weight.detach().clone()
    first, second = on_device(net, meta), on_device(net, meta)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert net.weight.device == meta
    second.__exit__(None, None, None)
    assert torch.equal(net.weight, weights)


def test_the_switches_of_a_gpu_stay_until_the_last_user_leaves():
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    first, second = (fast_math(torch.device("cuda")) for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert matmul.allow_tf32
    second.__exit__(None, None, None)
    assert matmul.allow_tf32 == before
