import errno
import json
import os
import re
import signal
import sys
from contextlib import contextmanager
from io import StringIO
from unittest.mock import Mock, patch

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from helpers import TINY, TRAINING
from napari_cosdd import __version__, api, cli
from napari_cosdd.cli._app import stoppable
from napari_cosdd.cli._console import PlainConsole
from napari_cosdd.errors import BadInputError
from napari_cosdd.events import Written
from napari_cosdd.images.formats.any import read_image, write_image
from napari_cosdd.images.image import Image
from napari_cosdd.images.locks import locked
from napari_cosdd.methods.cosdd_settings import COSDDConfig
from napari_cosdd.metrics import score
from napari_cosdd.prediction import cluster
from napari_cosdd.settings.fields import unit_of
from napari_cosdd.settings.prediction import PredictionConfig
from napari_cosdd.settings.training import TrainingConfig
from napari_cosdd.training.recipe import Recipe
from napari_cosdd.training.saving import resume_path


def run(*args, code=0):
    result = CliRunner().invoke(cli.app, [str(a) for a in args])
    if result.exit_code != code:
        raise AssertionError(f"exit code {result.exit_code}") from result.exception
    return re.sub(r"\s+", " ", result.output)


#: Of a prediction that keeps no samples.
PARTS = ("mean", "deviation")


@contextmanager
def refused(words):
    with pytest.raises(AssertionError, match="exit code 1") as error:
        yield
    assert words in str(error.value.__cause__)


@pytest.fixture
def image(tmp_path, noisy):
    pixel_size = {"X": 0.11, "Y": 0.22}
    write_image(tmp_path / "cells.tif", Image(noisy, "YX", pixel_size=pixel_size))
    return tmp_path / "cells.tif"


def options():
    return [
        part
        for key, value in (TINY["cosdd"] | TRAINING).items()
        for part in (f"--{key.replace('_', '-')}", value)
    ]


@pytest.fixture
def trained(image, tmp_path):
    path = tmp_path / "m.safetensors"
    output = run("train", image, "--output", path, *options())
    assert "COSDD for noise along x" in output
    assert "training completed after 6 steps" in output
    return path


def test_the_version_is_said():
    assert run("--version").strip() == f"napari-cosdd {__version__}"


def test_training_starts_from_a_model(image, trained, tmp_path):
    path = tmp_path / "more.safetensors"
    wanted = ["--init-model", trained, "--max-steps", 3, "--crop-size", 32]
    output = run("train", image, "--output", path, *wanted)
    assert "COSDD for noise along x, receptive field 5 px" in output
    assert "training completed after 3 steps" in output


def test_analyze_tells_and_writes(image, tmp_path):
    assert "The noise runs along rows (axis x)" in run("analyze", image)
    run("analyze", image, "--output", tmp_path / "n.json")
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["axis"] == "x"
    run("analyze", image, "--output", tmp_path / "n.png", "--region", "0:64,0:64")
    assert (tmp_path / "n.png").read_bytes().startswith(b"\x89PNG")


def test_other_images_validate(image, tmp_path, noisy):
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, noisy[:64].astype(np.float32))
    model = tmp_path / "m.safetensors"
    run("train", image, "--output", model, "--validation", other, *options())
    assert api.load(model).trained_on.names == (image.stem,)
    with refused("is also trained on"):
        run("train", image, "--output", model, "--validation", image, "--overwrite")
    deep = tmp_path / "kept" / "aside"
    deep.mkdir(parents=True)
    other.rename(deep / "other.tif")
    again = ["train", image, "--output", model, "--overwrite", *options()]
    with refused("holds no image"):
        run(*again, "--validation", deep.parent)
    run(*again, "--validation", deep.parent, "--recursive")


def test_the_residual_of_a_model_can_be_analyzed(image, trained):
    assert "(residual)" in run("analyze", image, "--model", trained)


def test_train_denoise_evaluate(image, trained, tmp_path, pair):
    out = tmp_path / "out"
    run(
        *("denoise", trained, image, "--output", out),
        *("--n-samples", 3, "--n-kept", 2),
    )
    names = sorted(p.name for p in out.iterdir())
    parts = ["deviation", "mean", "sample-1", "sample-2"]
    assert names == [f"cells-{p}.tif" for p in parts]
    mean = read_image(out / "cells-mean.tif")
    assert dict(mean.pixel_size) == {"X": 0.11, "Y": 0.22}
    write_image(tmp_path / "clean.tif", Image(pair[0], "YX"))
    numbers = tmp_path / "scores.json"
    text = run(
        *("evaluate", out / "cells-mean.tif", tmp_path / "clean.tif"),
        *("--noisy", image, "--output", numbers),
    )
    assert "PSNR after gain and offset" in text
    assert {"psnr", "psnr_affine", "ssim", "residual_row"} <= json.loads(
        numbers.read_text()
    ).keys()


def test_planes_are_compared_whatever_the_axes(pair, tmp_path):
    clean, noisy = (np.stack([p, p], -1).astype(np.float32) for p in pair)
    write_image(tmp_path / "clean.tif", Image(clean, "YXC"))
    write_image(tmp_path / "noisy.tif", Image(noisy, "YXC"))
    numbers = tmp_path / "scores.json"
    run(
        *("evaluate", tmp_path / "noisy.tif", tmp_path / "clean.tif"),
        *("--output", numbers),
    )
    expected = score(*reversed(pair))
    assert json.loads(numbers.read_text())["ssim"] == pytest.approx(expected.ssim)


@pytest.mark.parametrize("suffix", ["zarr", "npy"])
def test_other_formats(image, trained, tmp_path, suffix, noisy):
    run(
        *("denoise", trained, image, "--output", tmp_path / "o"),
        *("--n-samples", 2, "--format", suffix),
    )
    found = read_image(tmp_path / "o" / f"cells-mean.{suffix}")
    assert tuple(found.data.shape) == noisy.shape


def test_generate_draws_new_and_redraws(image, trained, tmp_path):
    run("generate", trained, "--output", tmp_path / "g", "--n", 2, "--size", 32)
    assert len(list((tmp_path / "g").iterdir())) == 2
    run("generate", trained, "--output", tmp_path / "g", "--n", 2, "--like", image)
    drawn = read_image(tmp_path / "g" / "cells-redrawn-2.tif")
    assert dict(drawn.pixel_size) == {"X": 0.11, "Y": 0.22}


def test_recipe_is_written_edited_and_used(image, tmp_path):
    recipe = tmp_path / "r.json"
    run("train", image, "--write-recipe", recipe, *options())
    recipe.write_text(recipe.read_text().replace('"max_steps": 6', '"max_steps": 2'))
    output = run(
        *("train", image, "--recipe", recipe, "--output", tmp_path / "r.safetensors")
    )
    assert "after 2 steps" in output


def test_every_setting_is_an_option_with_its_description():
    for command, configs in [
        ("train", [TrainingConfig, COSDDConfig]),
        ("denoise", [PredictionConfig]),
    ]:
        text = CliRunner().invoke(
            cli.app, [command, "--help"], env={"COLUMNS": "300"}, color=False
        )
        for config in configs:
            for name, field in config.model_fields.items():
                assert f"--{name.replace('_', '-')}" in text.output
                assert field.description[:30] in text.output
                if unit := unit_of(field):
                    said = re.sub(r"[\s│]+", " ", text.output)
                    assert f"{field.description} ({unit})" in said


def test_a_setting_that_is_not_given_leaves_the_preset_alone(image, tmp_path):
    path = tmp_path / "r.json"
    run("train", image, "--preset", "small", "--write-recipe", path)
    recipe = json.loads(path.read_text())
    assert recipe["settings"]["n_levels"] == 6
    assert recipe["training"]["crop_size"] == 256


def main(monkeypatch, capsys, *args):
    monkeypatch.setattr("sys.argv", ["napari-cosdd", *map(str, args)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    captured = capsys.readouterr()
    return left.value.code, re.sub(r"\s+", " ", captured.out + captured.err)


def test_errors_are_one_sentence_and_exit_code_1(
    image, trained, tmp_path, monkeypatch, capsys
):
    holed = np.ones((64, 64), np.float32)
    holed[0, 0] = np.nan
    write_image(tmp_path / "nan.tif", Image(holed, "YX"))
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    before = sorted(tmp_path.iterdir())
    for args, words in [
        (("train", tmp_path / "no.tif"), "there is no file or folder"),
        (("train", "https://a.org/b.tif"), "is an address; download"),
        (("train", image, "--output", trained), "exists already"),
        (("train", image, "--axes", "TYX"), "name 3 axes"),
        (("train", tmp_path / "nan.tif"), "1 of 4096 pixels are not finite"),
        (("train", image, "--crop-size", 510), "not a multiple of 16"),
        (("train", image, "--preset", "tiny"), "expected one of quick"),
        (("denoise", tmp_path / "bad.safetensors", image), "damaged"),
        (("denoise", trained, image, "--format", "gif"), "expected tif, zarr, npy"),
        (("denoise", trained, image, "--n-samples", 0), "n_samples: Input should be"),
        (("train", tmp_path / "a[/b].tif"), "there is no file or folder"),
        (("train", tmp_path / "a[b].tif"), "a[b].tif"),
    ]:
        code, text = main(monkeypatch, capsys, *args)
        assert code == 1, text
        assert "".join(words.split()) in "".join(text.split())  # wherever lines end
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_is_said_and_leaves_nothing(
    image, trained, tmp_path, monkeypatch, capsys
):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_cosdd.images.formats.tiff.tifffile.imwrite", full)
    out = tmp_path / "out"
    code, text = main(
        *(monkeypatch, capsys, "denoise", trained, image),
        *("--output", out, "--n-samples", 2),
    )
    assert code == 1
    assert "No space left" in text
    assert list(out.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_signal_to_end_stops_in_good_order(name, capsys):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with stoppable() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
def test_ctrl_c_saves_and_can_be_resumed(image, tmp_path):
    """The real signal, in the real process."""
    import subprocess

    path = tmp_path / "m.safetensors"
    args = ["train", str(image), "--output", str(path), *map(str, options())]
    args += ["--max-steps", "100000", "--validation-every", "20"]
    command = [sys.executable, "-u", "-m", "napari_cosdd", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "validation" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 130
    assert "stopping in good order" in rest
    assert path.exists()
    assert path.with_name("m.safetensors.resume").exists()


def test_a_reader_of_the_output_that_leaves_ends_it_in_good_order(image, tmp_path):
    """As in `napari-cosdd train … | head -n 3`."""
    import subprocess

    path = tmp_path / "m.safetensors"
    args = ["train", str(image), "--output", str(path), *map(str, options())]
    args += ["--max-steps", "100000", "--validation-every", "20"]
    command = [sys.executable, "-u", "-m", "napari_cosdd", *args]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipe) as process:
        for line in process.stdout:
            if "validation" in line:
                break
        process.stdout.close()
        assert process.wait(60) == 130
        assert process.stderr.read() == ""
    assert path.exists()
    assert path.with_name("m.safetensors.resume").exists()


def test_a_second_training_of_the_same_model_is_refused(image, tmp_path):
    path = tmp_path / "m.safetensors"
    with locked(path), refused("is being written by process"):
        run("train", image, "--output", path, *options())
    run("train", image, "--output", path, *options())


def test_each_channel_gets_a_model_of_its_own(noisy, tmp_path):
    both = Image(np.stack([noisy, 100 + 9 * noisy]), "CYX", channels=("a", "b"))
    path, model = tmp_path / "two.tif", tmp_path / "m.safetensors"
    write_image(path, both)
    run("train", path, "--channel", 1, "--output", model, *options())
    assert api.load(model).spec.n_channels == 1
    with refused("channels"):
        run("denoise", model, path, "--output", tmp_path)
    run("denoise", model, path, "--channel", 1, "--output", tmp_path, "--n-samples", 2)
    mean = read_image(tmp_path / "two-c1-mean.tif")
    assert mean.channels == ("b",)
    assert np.asarray(mean.data).mean() == pytest.approx((100 + 9 * noisy).mean(), 0.2)
    with refused("has 2 channels, numbered from 0; got 2"):
        run("denoise", model, path, "--channel", 2, "--output", tmp_path)
    with refused("has 2 channels, numbered from 0; got 2"):
        run("analyze", path, "--channel", 2)
    assert "rows" in run("analyze", path, "--channel", 1)
    with refused("channels"):
        run("check", model, path)
    checked = ["check", str(model), str(path), "--channel", "1", "--device", "cpu"]
    assert CliRunner().invoke(cli.app, checked).exit_code in (0, 3)


@pytest.mark.parametrize("kind", ["tif", "zarr"])
def test_one_model_sees_the_channels_one_by_one(noisy, tmp_path, kind):
    both = Image(np.stack([noisy, 100 + 9 * noisy]), "CYX", channels=("a", "b"))
    path, model = tmp_path / "both.tif", tmp_path / "m.safetensors"
    write_image(path, both)
    run("train", path, "--channel", "each", "--output", model, *options())
    output = tmp_path / "results"
    few = "--n-samples", 2, "--format", kind, "--output", output
    run("denoise", model, path, "--channel", "each", *few)
    mean = read_image(output / f"both-mean.{kind}")
    assert (mean.axes, mean.channels) == ("CYX", ("a", "b"))
    assert not np.allclose(*np.asarray(mean.data))
    with refused("'all': expected a number from 0, or 'each'"):
        run("denoise", model, path, "--channel", "all", "--output", output)


def test_a_part_is_learned_from_and_denoised(image, noisy, tmp_path):
    model, out = tmp_path / "m.safetensors", tmp_path / "out"
    part = ("--region", "0:80,0:128")
    run("train", image, *part, "--output", model, *options())
    run("denoise", model, image, *part, "--output", out, "--n-samples", 2)
    mean = np.asarray(read_image(out / "cells-mean.tif").data)
    np.testing.assert_array_equal(mean[80:], noisy[80:])
    assert (mean[:80] != noisy[:80]).all()
    with refused("--region goes with --format tif"):
        run("denoise", model, image, *part, "--format", "zarr", "--output", out)


def test_names_that_are_no_text_or_too_long_are_told_before_the_work(
    image, trained, tmp_path
):
    long = tmp_path / ("m" * 240 + ".safetensors")
    with refused("cannot be called"):
        run("train", image, "--output", long, *options())
    if sys.platform != "linux":
        return  # names are text there
    name = os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m.tif"
    os.rename(image, name)
    said = run("denoise", trained, os.fsdecode(name), "--output", tmp_path / "out")
    assert "\x1b" not in said
    (mean,) = (tmp_path / "out").glob("caf*-mean.tif")
    assert mean.name == "caf\ufffd\ufffd[31m-mean.tif"


def test_images_of_one_name_do_not_overwrite_each_other(
    image, trained, tmp_path, noisy
):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "x.tif", Image(noisy, "YX"))
    folders = (tmp_path / "a", tmp_path / "b")
    run("denoise", trained, *folders, "--output", tmp_path / "o", "--n-samples", 2)
    names = {p.name for p in (tmp_path / "o").iterdir()}
    assert {"a-x-mean.tif", "b-x-mean.tif"} <= names


def test_names_are_no_markup_and_the_extra_is_named(image, trained, tmp_path):
    odd = image.rename(tmp_path / "cells[a].tif")
    out = tmp_path / "out"
    said = run("denoise", trained, odd, "--output", out, "--n-samples", 2)
    assert "cells[a]-mean.tif" in said.replace(" ", "")
    assert "napari-cosdd[bioimageio]" in run("export", "--help")


def test_an_image_unlike_the_training_is_told_on_the_command_line(
    trained, tmp_path, noisy
):
    np.save(tmp_path / "bright.npy", noisy[None] * 10)
    out = tmp_path / "out"
    for kind in ("tif", "zarr"):
        said = run(
            *("denoise", trained, tmp_path / "bright.npy", "--output", out),
            *("--n-samples", 1, "--format", kind),
        )
        assert "the model may not fit" in said
        assert "axes TYX are a guess" in said
    assert "axes TYX are a guess" in run("analyze", tmp_path / "bright.npy")
    np.save(tmp_path / "plane.npy", noisy)
    assert "guess" not in run("analyze", tmp_path / "plane.npy")
    assert sorted(p.name for p in out.iterdir()) == [
        "bright-mean.tif",
        "bright-mean.zarr",
    ]


def test_inputs_are_never_written_over(image, trained, tmp_path, noisy):
    with refused("ends in .json"):
        run("evaluate", image, image, "--output", image, "--overwrite")
    with refused("ends in .json"):
        run("train", image, "--write-recipe", image, "--overwrite")
    for use in (api.fit, api.calibrate):
        with pytest.raises(BadInputError, match=r"ends in \.safetensors"):
            use(image, output=image)
    raw = image.rename(tmp_path / "cells.tif")
    second = tmp_path / "cells-mean.tif"
    write_image(second, Image(noisy, "YX"))
    before = second.read_bytes()
    with refused("one of the inputs"):
        run("denoise", trained, raw, second, "--output", tmp_path, "--overwrite")
    assert second.read_bytes() == before


def test_a_disk_without_room_is_told_before_the_work(image, trained, tmp_path):
    full = Mock(return_value=Mock(free=1000))
    with (
        patch("napari_cosdd.images.files.shutil.disk_usage", full),
        refused("the results take about"),
    ):
        run("denoise", trained, image, "--output", tmp_path / "out")


def test_an_unset_variable_is_not_the_present_folder():
    assert "an empty name" in run("analyze", "", code=2)


def test_an_image_that_is_given_twice_is_taken_once(tmp_path, noisy):
    np.save(tmp_path / "a.npy", noisy)
    (tmp_path / "b.npy").symlink_to(tmp_path / "a.npy")
    said = run("analyze", tmp_path / "a.npy", tmp_path / "b.npy")
    assert "1 of 2 images are given before and left out" in said
    assert said.count("(flat patches)") == 1


def test_rectangles_are_two_ranges(image):
    for wrong in ("10,20", "0:10:2,0:20", "0:64", "a:b,0:9"):
        said = run("analyze", image, "--region", wrong, code=2)
        assert "expected y0:y1,x0:x1" in said


def test_misspelled_settings_are_told_with_what_was_meant(noisy, model):
    with pytest.raises(BadInputError, match=r"'max_step'; did you mean 'max_steps'\?"):
        api.fit(noisy, axes="YX", max_step=3)
    with pytest.raises(BadInputError, match=r"there is no setting 'samples'"):
        api.denoise(noisy, model, samples=3)


def test_resuming_takes_the_settings_of_before(image, tmp_path):
    path = tmp_path / "m.safetensors"
    said = run("train", image, "--output", path, "--resume", code=1)
    assert not path.exists()
    recipe = Recipe.preset().with_values(TINY["cosdd"] | TRAINING | {"max_steps": 9})
    polled = iter([False] * 4)
    list(
        api.prepare_run(api.as_images(image), recipe).run(
            output=path, stop=lambda: next(polled, True)
        )
    )
    said = run("train", image, "--output", path, "--resume")
    assert "training completed after 9 steps" in said
    assert api.load(path).training.batch_size == TRAINING["batch_size"]


def test_options_that_contradict_each_other_are_refused(image, tmp_path):
    path = tmp_path / "r.json"
    run("train", image, "--write-recipe", path)
    for wrong in (
        ["--recipe", path, "--preset", "large"],
        ["--recipe", path, "--method", "n2v"],
        ["--output", tmp_path / "model.pt"],
    ):
        result = CliRunner().invoke(cli.app, ["train", str(image), *map(str, wrong)])
        assert isinstance(result.exception, BadInputError)


def test_resuming_remembers_the_model_that_it_began_with(
    image, trained, tmp_path, noisy
):
    """And its normalization: the image alone would give another."""
    brighter = tmp_path / "brighter.tif"
    write_image(brighter, Image(noisy * 3 + 100, "YX"))
    path = tmp_path / "m.safetensors"
    recipe = Recipe(method="cosdd").with_values(TRAINING | {"max_steps": 9})
    start, polled = api.load(trained), iter([False] * 4)
    job = api.prepare_run(api.as_images(brighter), recipe, init_model=start)
    list(job.run(output=path, stop=lambda: next(polled, True)))
    run("train", brighter, "--output", path, "--resume")
    assert api.load(path).spec == start.spec
    assert api.load(path).trained_on.start == "a model trained on cells"


def test_what_the_model_to_start_from_decides_is_told(image, trained, tmp_path):
    words = "method is cosdd there, not n2v; noise_axis is x there, not y"
    with refused(words):
        run(
            *("train", image, "--init-model", trained, "--noise-axis", "y"),
            *("--method", "n2v", "--output", tmp_path / "m.safetensors"),
        )


@pytest.mark.parametrize("kind", ["tif", "zarr"])
def test_one_bad_image_does_not_keep_the_others(image, trained, tmp_path, noisy, kind):
    out = tmp_path / "o"
    damaged, two = tmp_path / "a.tif", tmp_path / "b.tif"
    damaged.write_bytes(image.read_bytes()[:200])
    write_image(two, Image(np.stack([noisy, noisy]), "CYX"))
    few = "--output", out, "--n-samples", 1, "--format", kind
    with refused("2 of 3 images failed: a, b"):
        run("denoise", trained, damaged, two, image, *few)
    assert [path.name for path in out.iterdir()] == [f"cells-mean.{kind}"]
    with refused("channels"):  # alone, it is the error itself
        run("denoise", trained, two, *few)
    with refused("1 of 2 images failed: a"):
        run("analyze", damaged, image, "--output", tmp_path / "r.json")
    assert (tmp_path / "r-cells.json").exists()


def test_with_several_images_the_same_command_goes_on(image, trained, tmp_path, noisy):
    other = tmp_path / "other.tif"
    write_image(other, Image(noisy[:32, :32], "YX"))
    command = [
        *("denoise", trained, other, image, "--output", tmp_path / "o"),
        *("--n-samples", 2, "--format", "zarr", "--tile-size", 32),
    ]
    run(*command, "--share", "1/2")  # the small one is done with that
    said = run(*command, "--share", "2/2")
    assert "other was done before" in said
    assert (tmp_path / "o" / "cells-mean.zarr").exists()
    with refused("exists already"):
        run(*command, "--seed", 5)


def test_a_run_over_files_that_was_cut_off_goes_on(image, trained, tmp_path, noisy):
    """As a job array does after it was stopped, without another option."""
    other = tmp_path / "other.tif"
    write_image(other, Image(noisy[:32, :32], "YX"))
    out = tmp_path / "o"
    command = "denoise", trained, other, image, "--output", out, "--n-samples", 2
    run(*command)
    (out / "cells-deviation.tif").unlink()
    before = (out / "other-mean.tif").stat().st_mtime_ns
    said = run(*command, "--device", "cpu")  # which makes no other result
    assert "other was done before" in said
    assert "cells was done before" not in said
    assert (out / "cells-deviation.tif").exists()
    assert (out / "other-mean.tif").stat().st_mtime_ns == before
    for change in (("--seed", 5), ("--dtype", "source"), ("--fill", "outliers")):
        with refused("exists already"):
            run(*command, *change)
    write_image(other, Image(noisy[-32:, -32:], "YX"))  # another image of that name
    with refused("exists already"):
        run(*command)


def test_two_runs_with_results_of_one_name_do_not_mix(image, trained, tmp_path):
    out = tmp_path / "o"
    command = "denoise", trained, image, "--output", out, "--n-samples", 2
    out.mkdir()
    with locked(out / "cells-mean.tif"), refused("is being written by process"):
        run(*command)
    assert list(out.iterdir()) == []


def test_workers_in_other_folders_write_to_the_same_place(
    image, trained, tmp_path, monkeypatch
):
    asked = []

    def on_cluster(address, model, file, order, stop):
        asked.extend([model, file.path, *order.paths.values()])
        yield Written(tuple(order.paths.values()))

    monkeypatch.setattr(cluster, "denoising_on_cluster", on_cluster)
    monkeypatch.chdir(tmp_path)
    run(
        *("denoise", trained.name, image.name, "--output", "o"),
        *("--format", "zarr", "--scheduler", "tcp://nobody:1"),
    )
    assert asked[2:] == [tmp_path / "o" / f"cells-{p}.zarr" for p in PARTS]
    assert all(path.is_absolute() for path in asked)


def test_what_is_left_of_an_earlier_run_is_told(image, trained, tmp_path):
    command = ["denoise", trained, image, "--output", tmp_path / "o", "--n-samples", 4]
    run(*command, "--n-kept", 2)
    said = run(*command, "--n-kept", 1, "--overwrite")
    assert "left from an earlier run: cells-sample-2.tif" in said


def test_an_interrupted_training_is_not_replaced_unasked(image, tmp_path):
    model = tmp_path / "m.safetensors"
    state = resume_path(model)
    state.write_bytes(b"hours of work")
    with refused("of an interrupted training: go on with it"):
        run("train", image, "--output", model, *options())
    assert state.read_bytes() == b"hours of work"
    run("train", image, "--output", model, *options(), "--overwrite")
    assert model.exists()


def test_results_in_a_folder_are_no_images_of_a_command(image, trained, tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    image.rename(folder / "a.tif")
    few = "--n-samples", 2, "--output"
    run("denoise", trained, folder, *few, folder)
    said = run("denoise", trained, folder, *few, folder, "--overwrite")
    assert "2 earlier results of a denoising in the folder are left out" in said
    assert sorted(path.name for path in folder.iterdir()) == [
        "a-deviation.tif",
        "a-mean.tif",
        "a.tif",
    ]
    assert "a-mean" not in run("analyze", folder)


def test_files_with_several_images_in_two_folders(trained, tmp_path, noisy):
    for name in ("e1", "e2"):
        (tmp_path / name).mkdir()
        with tifffile.TiffWriter(tmp_path / name / "multi.ome.tif", ome=True) as tiff:
            for _ in range(2):
                tiff.write(noisy, metadata={"axes": "YX"})
    out = tmp_path / "o"
    run("denoise", trained, tmp_path / "e1", tmp_path / "e2", "--output", out)
    names = {path.name for path in out.iterdir()}
    assert {f"e{k}-multi-{i}-mean.tif" for k in (1, 2) for i in (0, 1)} <= names


def test_a_pipe_that_cannot_say_all_letters_ends_no_command(image, trained, tmp_path):
    """As on Windows, where `napari-cosdd check … > log` writes cp1252."""
    import subprocess

    image = image.rename(tmp_path / "日本ü.tif")
    page = tmp_path / "check.json"
    command = [sys.executable, "-m", "napari_cosdd", "check", trained, image]
    done = subprocess.run(
        [*map(str, command), "--output", str(page)],
        env=os.environ | {"PYTHONIOENCODING": "cp1252:strict"},
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr
    assert page.exists()
    assert b"? " in done.stdout  # the sign of a finding


def test_windows_word_for_a_reader_that_left_ends_the_output(monkeypatch):
    monkeypatch.setattr("napari_cosdd.cli._console.NO_READER", errno.EINVAL)
    monkeypatch.setattr(os, "dup2", Mock())  # pytest's output stays open
    gone = StringIO()
    gone.write = Mock(side_effect=OSError(errno.EINVAL, "Invalid argument"))
    console = PlainConsole(file=gone)
    console.print("step 1")
    assert console.is_cut_off
    console.print("step 2")
    assert gone.write.call_count == 1


def test_what_is_whole_of_a_file_is_checked_and_calibrated_with(
    trained, tmp_path, noisy
):
    path = tmp_path / "cut.tif"
    frames = np.stack([noisy, noisy[::-1], noisy[:, ::-1]])
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX"})
    path.write_bytes(path.read_bytes()[: -noisy.nbytes // 2])
    for command in (("check", trained, path), ("calibrate", path)):
        with refused("says 3 planes, and the file has room for 2"):
            run(*command)
    assert "2 time points are used" in run("check", trained, path, "--salvage", code=3)
    output = tmp_path / "n.safetensors"
    how = "--kind", "poisson_gauss", "--no-repeats", "--output", output
    said = run("calibrate", path, "--salvage", *how)
    assert "2 time points are used" in said
    assert output.exists()
