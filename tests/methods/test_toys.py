"""A method for each kind of needs, defined here: nothing else has to know it."""

import numpy as np
import pytest
import tifffile
from toys import TOYS, TroubledToy
from typer.testing import CliRunner

from helpers import TRAINING
from napari_cosdd import api, cli
from napari_cosdd.errors import BadInputError, PosteriorCollapseError
from napari_cosdd.events import Started, Validated
from napari_cosdd.methods.outputs import MEAN
from napari_cosdd.methods.registry import METHODS
from napari_cosdd.models.noise_model_file import is_described, to_plain
from napari_cosdd.noise_models.calibrate import calibrate_pairs
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.training import recovery


@pytest.fixture(params=sorted(TOYS))
def toy(request, monkeypatch):
    """The name of a toy in the table of methods."""
    monkeypatch.setitem(METHODS, request.param, f"toys:{TOYS[request.param].__name__}")
    return request.param


@pytest.fixture
def files(pair, camera, tmp_path):
    """Noisy and clean image and the camera's noise model, as files."""
    clean, noisy = pair
    tifffile.imwrite(tmp_path / "noisy.tif", noisy)
    tifffile.imwrite(tmp_path / "clean.tif", clean)
    api.save_noise_model(camera, tmp_path / "camera.safetensors")
    return tmp_path


def given(toy, files):
    """What a toy needs, as `fit` takes it."""
    needs = TOYS[toy].needs
    what = {}
    if needs.target != "none":
        what["targets"] = files / "clean.tif"
    if needs.noise_models:
        what["noise_model"] = files / "camera.safetensors"
    return what


def trained(toy, files, **settings):
    events = []
    model = api.fit(
        files / "noisy.tif",
        method=toy,
        on_event=events.append,
        output=files / "model.safetensors",
        **given(toy, files),
        **TOYS[toy].tiny,
        **(TRAINING | settings),
    )
    return model, events


def test_it_is_trained_saved_loaded_and_denoises_everywhere(toy, files):
    model, events = trained(toy, files)
    (started,) = (e for e in events if isinstance(e, Started))
    assert [c.tab for c in started.curves] == ["Toys"]
    assert all("toy" in e.losses for e in events if isinstance(e, Validated))
    loaded = api.load(files / "model.safetensors")
    assert loaded.fingerprint == model.fingerprint
    noise_model = loaded.method.noise_model
    assert (noise_model is None) is not bool(TOYS[toy].needs.noise_models)
    settings = {"tile_size": 48, "device": "cpu"}
    whole = api.denoise(files / "noisy.tif", loaded, **settings)
    assert [output.name for output in whole.outputs] == ["mean", "edges"]
    assert np.isfinite(whole.mean).all()
    image, config = api.one_image(files / "noisy.tif"), PredictionConfig(**settings)
    for output, array in whole.outputs.items():
        lazy = api.denoise_lazily(loaded, image, config, what=output.name)
        np.testing.assert_allclose(lazy.compute(), array, rtol=1e-4, atol=1e-2)


def test_its_units_are_kept(files, monkeypatch):
    """Estimates are grey levels; what has no unit stays as it is."""
    monkeypatch.setitem(METHODS, "toy", "toys:Toy")
    model, _ = trained("toy", files, max_steps=2)
    made = api.denoise(files / "noisy.tif", model, device="cpu")
    edges = next(a for o, a in made.outputs.items() if o.name == "edges")
    scale = model.spec.normalization.std[0]
    np.testing.assert_allclose(
        scale * edges[:, 1:], np.diff(made.mean, axis=1), atol=1e-3 * scale
    )


def test_it_is_checked_and_cited(toy, files):
    model, _ = trained(toy, files)
    found = api.check(files / "noisy.tif", model, device="cpu")
    assert {f.name for f in found.findings} >= {"axis", "latents", "training"}
    assert "training" in [f.name for f in found.failed]  # six steps are none
    result = run("cite", files / "model.safetensors")
    assert "A toy was played with." in result.output
    assert "doi:10.0/toy" in result.output


def test_it_is_advised_on(toy, noisy):
    reasons = {r.name: r.reason for r in api.recommend(api.analyze(noisy))}
    assert reasons[toy] == "A toy suits nobody."


def run(*arguments, code=0):
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


def test_the_command_line_trains_it_and_denoises_to_disk(toy, files):
    options = []
    for name, value in (TOYS[toy].tiny | TRAINING).items():
        options += [f"--{name.replace('_', '-')}", value]
    for name, path in given(toy, files).items():
        options += [f"--{name.replace('_', '-')}", path]
    model, out = files / "m.safetensors", files / "out"
    run("train", files / "noisy.tif", "--method", toy, "--output", model, *options)
    command = ["denoise", model, files / "noisy.tif", "--output", out]
    run(*command, "--format", "zarr", "--tile-size", 48, "--device", "cpu")
    names = sorted(p.name for p in out.iterdir())
    assert names == ["noisy-edges.zarr", "noisy-mean.zarr"]
    expected = api.denoise(files / "noisy.tif", model, device="cpu")
    found = api.one_image(out / "noisy-mean.zarr").data
    np.testing.assert_allclose(np.asarray(found), expected.outputs[MEAN], atol=1e-2)


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("toy-clean", {}, "a clean image of each scene"),
        ("toy-twin", {}, "a second noisy image"),
        ("toy", {"targets": "clean.tif"}, "from noisy images alone"),
        ("toy-noise-model", {}, r"needs a noise model \(mixture\)"),
        ("toy", {"noise_model": "camera.safetensors"}, "takes no noise model"),
    ],
)
def test_what_is_missing_or_too_much_is_said(name, wrong, words, files, monkeypatch):
    monkeypatch.setitem(METHODS, name, f"toys:{TOYS[name].__name__}")
    paths = {key: files / value for key, value in wrong.items()}
    with pytest.raises(BadInputError, match=words):
        api.fit(files / "noisy.tif", method=name, **paths, **TRAINING)


def test_a_noise_model_of_another_kind_is_refused(files, pair, monkeypatch):
    monkeypatch.setitem(METHODS, "toy-noise-model", "toys:NoiseModelToy")
    other = calibrate_pairs(*pair, "histogram")
    with pytest.raises(BadInputError, match=r"\(mixture\), got histogram"):
        api.fit(files / "noisy.tif", method="toy-noise-model", noise_model=other)


def test_its_problem_is_told_in_its_own_words(files, monkeypatch):
    monkeypatch.setitem(METHODS, "toy", f"toys:{TroubledToy.__name__}")
    monkeypatch.setattr(recovery, "JUDGED_STEPS", 3)
    with pytest.raises(PosteriorCollapseError, match=r"the toy broke after.*Glue it\."):
        trained("toy", files, max_steps=60)


def test_targets_that_are_not_finite_are_refused_from_any_start(files, monkeypatch):
    monkeypatch.setitem(METHODS, "toy-clean", "toys:CleanToy")
    model, _ = trained("toy-clean", files)
    holed = tifffile.imread(files / "clean.tif")
    holed[3, 4] = np.nan
    for start in (None, model):
        with pytest.raises(BadInputError, match="1 of 12288 pixels are not finite"):
            api.fit(
                files / "noisy.tif",
                method="toy-clean",
                targets=holed,
                init_model=start,
                **TRAINING,
            )


def test_a_model_to_start_from_keeps_its_own_noise_model(files, monkeypatch):
    monkeypatch.setitem(METHODS, "toy-noise-model", "toys:NoiseModelToy")
    model, _ = trained("toy-noise-model", files)
    with pytest.raises(BadInputError, match="has its own noise model"):
        api.fit(
            files / "noisy.tif",
            init_model=model,
            noise_model=files / "camera.safetensors",
            **TRAINING,
        )
    again = api.fit(files / "noisy.tif", init_model=model, **TRAINING)
    assert is_described(again.method.noise_model, to_plain(model.method.noise_model))


def test_a_recipe_and_a_model_to_start_from_go_together(files, monkeypatch):
    monkeypatch.setitem(METHODS, "toy", "toys:Toy")
    trained("toy", files)
    recipe, model = files / "r.json", files / "m.safetensors"
    start = files / "model.safetensors"
    options = []
    for name, value in TRAINING.items():
        options += [f"--{name.replace('_', '-')}", value]
    command = ["train", files / "noisy.tif", "--init-model", start]
    run("train", files / "noisy.tif", "--write-recipe", recipe, *options)
    run(*command, "--recipe", recipe, "--output", model)
    loaded = api.load(model)
    assert (loaded.name, loaded.training.crop_size) == ("toy", 32)
    assert loaded.trained_on.start == "a model trained on noisy"
