import sys
import zipfile
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from helpers import tiny_recipe
from napari_cosdd import api, cli
from napari_cosdd.errors import BadInputError, BadModelFileError
from napari_cosdd.exchange.export import export_bioimageio
from napari_cosdd.exchange.grey_levels import GreyLevels
from napari_cosdd.methods.capabilities import predicts
from napari_cosdd.models.load import MODEL_IN_PACKAGE, import_bioimageio

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file"),  # of bioimageio.spec
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of TorchScript
]


def trained(name, images, axes, ndim):
    job = api.prepare_run(api.as_images(images, axes), tiny_recipe(name), ndim=ndim)
    *_, last = job.run()
    return last.result


@pytest.fixture(scope="module")
def planes():
    return np.random.default_rng(0).normal(100, 9, (8, 96, 96)).astype(np.float32)


@pytest.fixture(scope="module", params=[("cosdd", 2), ("cosdd", 3), ("n2v", 2)])
def case(request, planes):
    """A model of a method and a number of spatial axes, with its images."""
    name, ndim = request.param
    axes = "ZYX" if ndim == 3 else "TYX"
    return trained(name, planes, axes, ndim), planes, axes


@pytest.fixture
def package(case, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_cosdd.exchange.export.DEPTH", 8)
    model, planes, axes = case
    (image,) = api.as_images(planes, axes)
    return export_bioimageio(
        model, image, tmp_path / "a.zip", authors=["A. Founder"], tile_size=64
    )


def unpacked(package, folder):
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return torch.jit.load(str(folder / "network.pt"))


def test_the_package_is_valid_by_its_own_validator(package):
    from bioimageio.spec import ValidationContext, load_description

    with ValidationContext(perform_io_checks=False):  # which would ask the internet
        described = load_description(package)
    summary = described.validation_summary
    assert summary.status == "valid-format", summary.format()
    assert [a.name for a in described.authors] == ["A. Founder"]
    assert described.cite


def test_the_network_gives_what_we_give(package, case, tmp_path):
    """On other pixels than those it was traced with, too."""
    model, planes, axes = case
    network = unpacked(package, tmp_path / "out")
    other = planes[:, 10:74, 20:84] if axes == "ZYX" else planes[3, 10:74, 20:84]
    found = network(torch.from_numpy(other[None, None].copy())).numpy()[0, 0]
    ours = api.denoise(
        other,
        model,
        axes=axes[-other.ndim :],
        n_samples=8,
        direct=predicts(model.method),
        device="cpu",
    )
    scale = model.spec.normalization.std[0]
    np.testing.assert_allclose(found, ours.mean, atol=1e-3 * scale)


def test_its_test_can_be_repeated(package, tmp_path):
    network = unpacked(package, tmp_path / "out")
    noisy = torch.from_numpy(np.load(tmp_path / "out" / "noisy.npy"))
    denoised = np.load(tmp_path / "out" / "denoised.npy")
    np.testing.assert_allclose(network(noisy).numpy(), denoised, rtol=1e-4, atol=1e-3)


def test_the_model_comes_back_whole(package, case):
    assert api.load(package).fingerprint == case[0].fingerprint


def test_foreign_and_damaged_packages_are_refused(package, tmp_path):
    foreign = tmp_path / "foreign.zip"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("rdf.yaml", "type: model")
    with pytest.raises(BadModelFileError, match="not written by napari-cosdd"):
        api.load(foreign)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MODEL_IN_PACKAGE, bytes(10 << 20))
    with pytest.raises(BadModelFileError, match="implausibly large"):
        api.load(bomb)
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(MODEL_IN_PACKAGE, b"x")
    with pytest.raises(BadModelFileError, match="packed in an unknown way"):
        api.load(bomb)
    whole = package.read_bytes()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 50):
            damaged[at] ^= 0xFF
        package.write_bytes(bytes(damaged))
        with suppress(BadModelFileError):  # what is not read may be damaged
            import_bioimageio(package)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_samples": 3}, "expected an even number"),
        ({"tile_size": 128}, "smaller than a tile of 128 × 128"),
        ({"name": "a/b"}, "would not be valid"),
        ({"license_id": "mine"}, "would not be valid"),
    ],
)
def test_what_cannot_be_exported_is_said(model, noisy, tmp_path, settings, said):
    (image,) = api.as_images(noisy[:96, :96], "YX")
    given = {"tile_size": 64} | settings
    with pytest.raises(BadInputError, match=said):
        export_bioimageio(model, image, tmp_path / "a.zip", **given)
    assert list(tmp_path.iterdir()) == []


def test_lines_and_missing_pixels_are_refused(model, noisy, tmp_path):
    missing = noisy.copy()
    missing[0, 0] = np.nan  # not in the tile
    (image,) = api.as_images(missing, "YX")
    export_bioimageio(model, image, tmp_path / "a.zip", tile_size=64)
    missing[48, 64] = np.nan
    with pytest.raises(BadInputError, match="not finite"):
        export_bioimageio(model, image, tmp_path / "b.zip", tile_size=64)
    lines = trained("cosdd", noisy, "SX", 1)
    (image,) = api.as_images(noisy, "SX")
    with pytest.raises(BadInputError, match="single lines"):
        export_bioimageio(lines, image, tmp_path / "b.zip", tile_size=64)


def test_tiles_are_wider_than_their_margins(model, noisy, tmp_path):
    """What a program cuts off a tile must leave some of it, or there are seams."""
    from bioimageio.spec import ValidationContext, load_description

    wide = replace(model, margin=(16, 30))
    (image,) = api.as_images(noisy, "YX")
    package = export_bioimageio(wide, image, tmp_path / "a.zip", tile_size=64)
    with ValidationContext(perform_io_checks=False):
        described = load_description(package)
    assert [a.size for a in described.inputs[0].axes[2:]] == [64, 92]
    assert [a.halo for a in described.outputs[0].axes[2:]] == [16, 30]


def test_the_noise_goes_where_the_network_goes(model):
    """It is part of the network, so that a GPU can take it."""
    one_way = replace(model, reversible=False)
    names = dict(GreyLevels(one_way, (32, 32), 4).named_buffers())
    kept = {n for n in names if n.startswith("noise_")}
    views = ("shifted00_flipped", "shifted11_flipped0")  # two pairs, two views
    assert kept == {f"noise_{view}_{level}" for view in views for level in (0, 1)}


def test_without_the_extra_it_says_how_to_get_it(model, noisy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioimageio.spec", None)
    (image,) = api.as_images(noisy, "YX")
    with pytest.raises(BadInputError, match=r"napari-cosdd\[bioimageio\]"):
        export_bioimageio(model, image, tmp_path / "a.zip", tile_size=64)


def test_the_command_writes_a_package_and_nothing_over_one(model, noisy, tmp_path):
    np.save(tmp_path / "x.npy", noisy)
    model.save(tmp_path / "m.safetensors")
    out = tmp_path / "m.zip"
    arguments = ["export", tmp_path / "m.safetensors", tmp_path / "x.npy"]
    arguments += ["--axes", "YX", "--tile-size", "64", "--output", out]
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    assert result.exit_code == 0
    assert api.load(out).fingerprint == model.fingerprint
    again = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    assert isinstance(again.exception, BadInputError)
