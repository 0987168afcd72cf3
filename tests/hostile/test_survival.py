"""Some of the faults of `python -m benchmarks faults`, as tests."""

import pytest

pytest.importorskip("resource")  # limits and signals of POSIX

from benchmarks import faults

TRIED = [
    "kill -9 while training, three times",
    "kill -9 while denoising to zarr",
    "full disk while training over a model",
    "the model's folder vanishes",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIED)
def test_it_survives(name, tmp_path):
    outcome = faults.FAULTS[name](faults.prepare(tmp_path))
    assert outcome.survived, outcome.said
