"""Writing on the disks and systems that users have."""

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_cosdd.errors import BadInputError
from napari_cosdd.images import files
from napari_cosdd.images.formats.any import read_image, write_image
from napari_cosdd.images.formats.search import search
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import distinct_names


def test_a_disk_without_hard_links_takes_zarr(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    image = Image(np.arange(48, dtype=np.float32).reshape(6, 8), "YX")
    write_image(tmp_path / "a.ome.zarr", image)
    np.testing.assert_array_equal(
        np.asarray(read_image(tmp_path / "a.ome.zarr").data), image.data
    )


@pytest.mark.parametrize("attempts", [3, 99])
def test_a_file_that_a_scanner_holds_is_renamed_a_moment_later(
    tmp_path, monkeypatch, attempts
):
    real, tried = Path.replace, []

    def held(self, target):
        tried.append(target)
        if len(tried) < attempts:
            raise PermissionError(13, "used by another process")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", held)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(files, "WAITS", (0.0,) * 6)
    source, target = tmp_path / "a", tmp_path / "b"
    source.touch()
    if attempts == 3:
        files.rename(source, target)
    else:
        with pytest.raises(PermissionError):
            files.rename(source, target)
        assert len(tried) == 7
    assert target.exists() == (attempts == 3)


def test_names_that_differ_in_case_alone_are_one_on_many_disks():
    paths = [Path("a/Cell.tif"), Path("b/cell.tif"), Path("b/other.tif")]
    assert distinct_names(paths) == ["a-Cell", "b-cell", "other"]
    with pytest.raises(BadInputError, match="overwrite"):
        distinct_names([Path("a/Cell.tif"), Path("a/cell.tif")])


@pytest.mark.parametrize("path", ["https:/a.org/b.tif", r"https:\a.org\b.tif"])
def test_addresses_are_told_apart_from_files(path):
    with pytest.raises(BadInputError, match="is an address"):
        search(Path(path))


def test_json_has_null_for_what_is_no_number_at_any_depth(tmp_path):
    content = {"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": float("nan")}}
    files.write_json(tmp_path / "a.json", content)
    read = json.loads((tmp_path / "a.json").read_text())
    assert read == {"a": None, "b": [1.5, None], "c": {"d": None}}
