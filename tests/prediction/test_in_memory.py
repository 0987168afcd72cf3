import errno
import os

import numpy as np
import pytest

from napari_cosdd.errors import SavingError
from napari_cosdd.prediction import in_memory


def test_large_results_lie_in_a_file_with_its_space(monkeypatch, tmp_path):
    monkeypatch.setattr(in_memory, "IN_MEMORY_LIMIT", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = os.statvfs(tmp_path).f_bfree if hasattr(os, "statvfs") else None
    zeros = in_memory._zeros((64, 1 << 18), np.dtype(np.float32))
    assert isinstance(zeros, np.memmap)
    assert not zeros.any()
    if before is not None and hasattr(os, "posix_fallocate"):
        blocks = os.statvfs(tmp_path)
        assert (before - blocks.f_bfree) * blocks.f_bsize > 32 << 20
    zeros[3] = 1
    assert zeros.sum() == 1 << 18
    assert list(tmp_path.iterdir()) == [] or os.name == "nt"  # seen while mapped


def test_a_full_temporary_folder_is_said_before_any_work(monkeypatch):
    with pytest.raises(SavingError, match="keep fewer samples"):
        in_memory._zeros((1 << 20, 1 << 30), np.dtype(np.float32))

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(in_memory, "IN_MEMORY_LIMIT", 1000)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(SavingError, match="No space left on device"):
        in_memory._zeros((100, 100), np.dtype(np.float32))
