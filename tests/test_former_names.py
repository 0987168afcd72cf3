"""Names of 0.1.0 work for one release, and say what they are called now."""

import numpy as np
import pytest
from typer.testing import CliRunner

from helpers import TINY, TRAINING, tiny_recipe
from napari_cosdd import api, cli

FEW = TINY["cosdd"] | TRAINING | {"max_steps": 2}


def run(*arguments, code=0):
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_arguments_of_the_python_interface(noisy, model):
    holed = noisy.copy()
    holed[3, 4] = np.nan
    with pytest.warns(FutureWarning, match="'mask' is called 'fill' now") as warned:
        result = api.denoise(holed, model, axes="YX", mask=True, n_samples=2)
    assert warned[0].filename == __file__
    assert np.isfinite(result.mean).all()
    with pytest.warns(FutureWarning, match="'start' is called 'init_model' now"):
        api.fit(noisy, axes="YX", start=model, **TRAINING | {"max_steps": 2})
    with pytest.warns(FutureWarning, match="'fill' now"):
        api.analyze(holed, axes="YX", mask=True)
    with pytest.warns(FutureWarning, match="'fine_tuning_rate' now"):
        api.fit(noisy, axes="YX", adapting_rate=0.2, **FEW)
    with pytest.warns(FutureWarning, match="facts now"):
        assert api.analyze(noisy).advice.axis == "x"


def test_functions_of_the_python_interface(noisy):
    image = api.as_images(noisy, "YX")
    with pytest.warns(FutureWarning, match="'prepare_run' now"):
        job = api.prepare_training(image, tiny_recipe(), ndim=2)
    assert job.recipe.method == "cosdd"
    with pytest.warns(FutureWarning, match=r"'Recipe\.with_values' now"):
        assert api.with_settings(tiny_recipe(), {"seed": 5}).training.seed == 5
    with pytest.warns(FutureWarning):
        assert api.inference_config({"n_samples": 3}).n_samples == 3


def test_unknown_arguments_are_still_refused(noisy, model):
    with pytest.raises(TypeError, match="unexpected arguments: masc"):
        api.analyze(noisy, masc=True)
    with pytest.raises(TypeError, match="unexpected arguments: masc"):
        api.check(noisy, model, masc=True)


def test_options_of_the_command_line(noisy, model, tmp_path):
    np.save(tmp_path / "x.npy", noisy)
    model.save(tmp_path / "m.safetensors")
    said = run("analyze", tmp_path / "x.npy", "--axes", "YX", "--mask")
    assert "--mask is called --fill=missing now" in said
    out = ["--output", tmp_path / "out", "--format", "zarr", "--n-samples", 2]
    said = run(
        *("denoise", tmp_path / "m.safetensors", tmp_path / "x.npy", *out),
        *("--axes", "YX", "--part=1/1", "--no-views"),
    )
    assert "--part is called --share now" in said
    assert "--no-test-time-views now" in said


@pytest.mark.parametrize(
    ("arguments", "has", "lacks"),
    [
        ((), ["--n-components", "--kl-start", "--crop-size"], ["--masked"]),
        (("--method", "n2v"), ["--masked", "Mask", "--crop-size"], ["--kl-start"]),
        (("--method=care",), ["--loss", "Method CARE"], ["--noise-axis", "--n-code"]),
    ],
)
def test_help_is_of_the_chosen_method(arguments, has, lacks, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for order in ((*arguments, "--help"), ("--help", *arguments)):
        said = run("train", *order)
        assert all(word in said for word in has if word != "Mask")
        assert not any(f"{word} " in said for word in lacks)


def test_calibrate_writes_a_noise_model(pair, tmp_path):
    clean, noisy = pair
    np.save(tmp_path / "noisy.npy", noisy)
    np.save(tmp_path / "clean.npy", clean)
    path = tmp_path / "camera.safetensors"
    command = ["calibrate", tmp_path / "noisy.npy", "--clean", tmp_path / "clean.npy"]
    said = run(*command, "--kind", "mixture", "--axes", "YX", "--output", path)
    assert "measured at signals from" in said
    assert api.load_noise_model(path).kind == "mixture"
    assert "Note" not in said


def test_calibrate_says_when_the_noise_model_differs_from_the_noise(tmp_path):
    rng = np.random.default_rng(0)
    clean = rng.uniform(1, 40, (128, 128))
    np.save(tmp_path / "clean.npy", clean)
    np.save(tmp_path / "noisy.npy", 20.0 * rng.poisson(clean / 20))  # few photons
    command = ["calibrate", tmp_path / "noisy.npy", "--clean", tmp_path / "clean.npy"]
    command += ["--axes", "YX", "--output", tmp_path / "camera.safetensors"]
    said = run(*command, "--kind", "poisson_gauss")
    assert "Note: at some brightness the noise model" in said
