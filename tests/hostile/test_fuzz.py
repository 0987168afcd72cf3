"""Files from strangers: mutated, lying, and written to do harm.

Whatever they hold, they are read or refused with an error of ours; no code of theirs
runs, nothing outside their folder is read, and no memory is taken for what a header
claims. How many mutations were tried is told by `pytest --hypothesis-show-statistics`.
"""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from helpers import tiny_recipe
from napari_cosdd import api
from napari_cosdd.errors import BadInputError, CosddError
from napari_cosdd.events import StepDone
from napari_cosdd.images.formats.any import read_image, write_image
from napari_cosdd.images.image import Image
from napari_cosdd.images.inputs import stack_of
from napari_cosdd.models.trained_model import TrainedModel
from napari_cosdd.training.recipe import Recipe, resumed
from napari_cosdd.training.resume_file import load_state
from napari_cosdd.training.saving import resume_path

FIXTURES = Path(__file__).parents[1] / "fixtures"
#: Mutations of each file; more with FUZZ_CASES=5000.
CASES = int(os.environ.get("FUZZ_CASES", "150"))
fuzz = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def mutations(draw):
    """Return a function that damages bytes: flipped, cut, doubled, overwritten."""
    kind = draw(st.sampled_from(["flip", "cut", "grow", "fill", "number"]))
    place = draw(st.floats(0, 1, exclude_max=True))
    value = draw(st.integers(0, 255))
    length = draw(st.sampled_from([1, 2, 4, 8, 64]))

    def damage(data: bytes) -> bytes:
        # Half of all damage is near the start, where headers are.
        reach = len(data) if value % 2 else min(len(data), 2048)
        at = int(place * reach)
        if kind == "flip":
            return data[:at] + bytes([data[at] ^ (value or 1)]) + data[at + 1 :]
        if kind == "cut":
            return data[:at]
        if kind == "grow":
            return data[:at] + data[at : at + length] * 3 + data[at + length :]
        if kind == "number":
            return data[:at] + struct.pack("<I", 2**31 - 1 - value) + data[at + 4 :]
        return data[:at] + bytes([value]) * length + data[at + length :]

    return damage


def outcome(read):
    """Return what came of it; anything but a result or an error of ours is a defect."""
    try:
        read()
    except CosddError:
        return "refused"
    return "read"


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """One file of each kind, small."""
    folder = tmp_path_factory.mktemp("seeds")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4000, (3, 40, 48)).astype(np.uint16)
    image = Image(pixels, "TYX", "seed", pixel_size={"Y": 0.5, "X": 0.5})
    write_image(folder / "ome.tif", image)
    tifffile.imwrite(folder / "plain.tif", pixels)
    tifffile.imwrite(folder / "imagej.tif", pixels, imagej=True)
    tifffile.imwrite(folder / "big.tif", pixels, bigtiff=True, tile=(16, 16))
    np.save(folder / "array.npy", pixels)
    write_image(folder / "image.zarr", image)
    packed = shutil.make_archive(str(folder / "packed"), "zip", folder / "image.zarr")
    Path(packed).rename(folder / "zipped.ozx")
    return folder


def pixels(path):
    """Read all planes of an image, as the package does."""
    planes = stack_of(read_image(path), 2, "nothing")
    return [planes.read(n) for n in range(planes.n_images)]


@pytest.mark.parametrize(
    "name",
    ["ome.tif", "plain.tif", "imagej.tif", "big.tif", "array.npy", "zipped.ozx"],
)
@pytest.mark.filterwarnings("ignore")  # libraries warn of what they make do with
def test_damaged_images_are_read_or_refused(name, seeds, tmp_path):
    data = (seeds / name).read_bytes()
    path = tmp_path / name

    @fuzz
    @given(mutations())
    def run(damage):
        path.write_bytes(damage(data))
        event(outcome(lambda: sum(x.sum() for x in pixels(path))))

    run()


@pytest.mark.filterwarnings("ignore")
def test_damaged_zarr_metadata_is_read_or_refused(seeds, tmp_path):
    folder = tmp_path / "image.zarr"
    shutil.copytree(seeds / "image.zarr", folder)
    files = [folder / "zarr.json", folder / "0" / "zarr.json"]
    before = [f.read_bytes() for f in files]

    @fuzz
    @given(mutations(), st.integers(0, 1))
    def run(damage, which):
        for file, data in zip(files, before, strict=True):
            file.write_bytes(data)
        files[which].write_bytes(damage(before[which]))
        event(outcome(lambda: read_image(folder)))

    run()


@pytest.mark.parametrize("name", ["cosdd-0.1.0.safetensors", "n2v-0.1.0.safetensors"])
def test_damaged_models_are_read_or_refused(name, tmp_path):
    data, path = (FIXTURES / name).read_bytes(), tmp_path / name

    @fuzz
    @given(mutations())
    def run(damage):
        path.write_bytes(damage(data))
        event(outcome(lambda: TrainedModel.load(path)))

    run()


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """An image and the state of a training on it, stopped at its second step."""
    folder = tmp_path_factory.mktemp("unfinished")
    image = Image(np.random.default_rng(0).normal(size=(96, 128)), "YX")
    path, steps = folder / "m.safetensors", []
    job = api.prepare_run([image], tiny_recipe(max_steps=4, validation_every=1))
    for happened in job.run(output=path, stop=lambda: len(steps) >= 2):
        if isinstance(happened, StepDone):
            steps.append(happened)
    return image, path


@given(st.data())
@settings(fuzz, max_examples=max(60, CASES // 3))
def test_states_of_other_releases_are_resumed_or_refused(unfinished, data):
    """A field is missing, renamed, of another type or out of bounds."""
    image, path = unfinished
    source = resume_path(path)
    whole = source.read_bytes()
    state = torch.load(source, weights_only=True)
    part, key = state, data.draw(st.sampled_from(sorted(state)))
    while isinstance(part[key], dict) and part[key] and data.draw(st.booleans()):
        part = part[key]
        key = data.draw(st.sampled_from(sorted(part, key=str)))
    change = data.draw(st.sampled_from(["drop", "rename", "replace"]))
    value = part.pop(key)
    if change == "rename":
        part["other"] = value
    elif change == "replace":
        values = [None, -1, 10**30, "x", [], {}, float("nan"), True, torch.ones(2, 3)]
        part[key] = data.draw(st.sampled_from(values))

    def resume():
        recipe, _, _ = resumed(path)
        job = api.prepare_run([image], recipe)
        for _ in job.run(output=path, resume=True):
            pass

    torch.save(state, source)
    try:
        event(outcome(resume))
    finally:
        source.write_bytes(whole)
        path.unlink(missing_ok=True)


def test_damaged_recipes_are_read_or_refused(tmp_path):
    path = tmp_path / "recipe.json"
    Recipe.preset().write(path)
    data = path.read_bytes()

    @fuzz
    @given(mutations())
    def run(damage):
        path.write_bytes(damage(data))
        event(outcome(lambda: Recipe.read(path)))

    run()


# Written to do harm -----------------------------------------------------------


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_executed(tmp_path):
    trap = tmp_path / "executed"
    evil = pickle.dumps(Harm(trap))
    for name in ("m.safetensors", "x.npy", "x.tif"):
        (tmp_path / name).write_bytes(evil)
    np.save(tmp_path / "o.npy", np.array([Harm(trap)], dtype=object))
    torch.save({"state": Harm(trap)}, tmp_path / "m.resume")
    for read in (
        lambda: TrainedModel.load(tmp_path / "m.safetensors"),
        lambda: read_image(tmp_path / "x.npy"),
        lambda: read_image(tmp_path / "o.npy"),
        lambda: read_image(tmp_path / "x.tif"),
        lambda: load_state(tmp_path / "m.resume"),
    ):
        with pytest.raises(CosddError):
            read()
    assert not trap.exists()


@pytest.mark.parametrize(
    ("dtype", "filters", "compressor"),
    [
        ("|O", [{"id": "pickle"}], None),
        ("<f4", [{"id": "pickle"}], None),
        ("<f4", None, {"id": "pickle"}),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_zarr_that_wants_to_be_unpickled_is_refused(
    tmp_path, zipped, dtype, filters, compressor
):
    trap, path = tmp_path / "executed", tmp_path / "evil.zarr"
    path.mkdir()
    header = {
        "zarr_format": 2,
        "shape": [8, 8],
        "chunks": [8, 8],
        "dtype": dtype,
        "compressor": compressor,
        "filters": filters,
        "fill_value": 0,
        "order": "C",
    }
    (path / ".zarray").write_text(json.dumps(header))
    (path / "0.0").write_bytes(pickle.dumps(Harm(trap)))
    if zipped:
        packed = shutil.make_archive(str(tmp_path / "packed"), "zip", path)
        path = Path(packed).rename(tmp_path / "evil.ozx")
    with pytest.raises(BadInputError):
        np.asarray(read_image(path).data)
    assert not trap.exists()


#: Loads a model and prints by how many bytes the process has grown; torch's tensors
#: are not seen by `little_memory`.
LOADS = """
import resource, sys
from napari_cosdd.errors import BadModelFileError
from napari_cosdd.models.trained_model import TrainedModel

def most():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

TrainedModel.load(sys.argv[1])
before = most()
try:
    TrainedModel.load(sys.argv[2])
except BadModelFileError as error:
    print(error)
print(most() - before)
"""


@pytest.fixture
def little_memory():
    """Fail if more than 64 MB were taken, of what Python and numpy take."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def test_headers_that_claim_huge_images_take_no_memory(tmp_path, little_memory):
    tiff = tmp_path / "bomb.tif"
    tifffile.imwrite(tiff, np.zeros((16, 16), np.uint16))
    with tifffile.TiffFile(tiff, mode="r+b") as file:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages[0].tags[tag].overwrite(20_000)
    with pytest.raises(BadInputError, match="truncated or damaged"):
        read_image(tiff)
    npy = tmp_path / "bomb.npy"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000), }"
    body = header.ljust(117) + b"\n"
    npy.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body)
    with pytest.raises(BadInputError, match=r"bomb\.npy"):
        read_image(npy)


def test_a_zarr_with_huge_chunks_takes_no_memory(tmp_path, little_memory):
    import zarr

    path = tmp_path / "bomb.zarr"
    zarr.create_array(path, shape=(10**6,) * 2, chunks=(10**6,) * 2, dtype="f4")
    with pytest.raises(BadInputError, match="smaller chunks"):
        read_image(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="units of ru_maxrss")
def test_a_model_that_claims_huge_networks_takes_no_memory(tmp_path):
    from safetensors.torch import load_file, save_file

    source = FIXTURES / "cosdd-0.1.0.safetensors"
    raw = source.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    info = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["napari_cosdd"])
    info["config"] |= {"n_channels": 512, "n_levels": 20, "n_blocks": 8}
    path = tmp_path / "bomb.safetensors"
    save_file(load_file(source), path, {"napari_cosdd": json.dumps(info)})
    command = [sys.executable, "-c", LOADS, str(source), str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "do not fit its settings" in said
    assert int(said.split()[-1]) < 128 << 20


def test_nothing_outside_the_folder_is_read(tmp_path, seeds):
    inside = tmp_path / "inside"
    inside.mkdir()
    secret = tmp_path / "secret.zarr"
    shutil.copytree(seeds / "image.zarr", secret)
    linked = inside / "linked.zarr"
    shutil.copytree(seeds / "image.zarr", linked)
    shutil.rmtree(linked / "0")
    (linked / "0").symlink_to(secret / "0")
    with pytest.raises(BadInputError, match="points outside itself"):
        read_image(linked)
    for outside in ("../secret.zarr/0", str(secret / "0")):
        other = inside / "other.zarr"
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(seeds / "image.zarr", other)
        text = (other / "zarr.json").read_text()
        header = json.loads(text)
        header["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = outside
        (other / "zarr.json").write_text(json.dumps(header))
        with pytest.raises(BadInputError, match="points outside itself"):
            read_image(other)


@pytest.mark.parametrize("name", ["../secret.tif", "/etc/secret.tif", "..\\secret.tif"])
def test_an_ome_tiff_that_names_files_elsewhere_is_refused(tmp_path, name):
    pixels = np.zeros((2, 16, 16), np.uint16)
    path = tmp_path / "x.ome.tif"
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": "TYX"})
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata
    link = f'<UUID FileName="{name}">urn:uuid:0</UUID></TiffData>'
    text = text.replace("</TiffData>", link)
    text = text.replace('PlaneCount="2"/>', f'PlaneCount="2">{link}')
    assert name in text
    tifffile.imwrite(path, pixels, description=text.encode(), metadata=None)
    with pytest.raises(BadInputError, match="outside its folder"):
        read_image(path)


@pytest.mark.parametrize(
    ("link", "before"),
    [
        ('<UUID a="&gt;" FileName="../secret.tif">', ""),
        ('<UUID a=">" FileName="../secret.tif">', ""),
        ('<XUUID FileName="../secret.tif">', ""),
        ('<UUID FileName="&#46;&#46;&#47;secret.tif">', ""),
        ('<UUID FileName="&e;">', '<!DOCTYPE OME [<!ENTITY e "../secret.tif">]>'),
        ('<UUID FileName="../secret.tif"', ""),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_no_spelling_of_such_names_is_followed(tmp_path, link, before, lazy):
    secret = np.full((2, 16, 16), 77, np.uint16)
    tifffile.imwrite(tmp_path / "secret.tif", secret, compression="zlib")
    path = tmp_path / "inside" / "x.ome.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, 0 * secret, ome=True, metadata={"axes": "TYX"})
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata
    tag = "XUUID" if "XUUID" in link else "UUID"
    text = text.replace(
        'PlaneCount="2"/>', f'PlaneCount="2">{link}urn:uuid:0</{tag}></TiffData>'
    ).replace("?>", f"?>{before}", 1)
    assert link in text
    tifffile.imwrite(path, 0 * secret, description=text.encode(), metadata=None)
    with pytest.raises(BadInputError, match=r"outside its folder|metadata"):
        read_image(path, lazy=lazy)


def test_names_of_files_that_hold_no_pixels_do_no_harm(tmp_path):
    pixels = np.zeros((2, 16, 16), np.uint16)
    path = tmp_path / "x.ome.tif"
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": "TYX"})
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata
    note = '<Source OriginalFileName="D:/data/a.czi" FileName="/a.czi"/></OME>'
    text = text.replace("</OME>", note)
    tifffile.imwrite(path, pixels, description=text.encode(), metadata=None)
    assert read_image(path).axes == "TYX"
